# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Dump and restore with a real PostgreSQL: all or nothing, and the same when it is repeated."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import pytest

FILES = Path(__file__).resolve().parents[3] / "roles/backup/files"
SERVERS = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
MADE = """
create extension pg_trgm;
create type mood as enum ('good', 'bad');
create table runs (id serial primary key, name text, mood mood default 'good');
create index on runs using gin (name gin_trgm_ops);
insert into runs (name) select 'run ' || n from generate_series(1, 500) n;
create schema extra;
create table extra.notes (line text);
insert into extra.notes values ('BEGIN;'), ('COMMIT;'), ('\\.');
"""
CHANGED = "drop table runs; create schema later; create table later.newer (a int); drop schema extra cascade"


@pytest.fixture(scope="module")
def server():
    """A server that listens on a socket only, and a database with an owner; returns what runs a command as that owner's client."""
    if not SERVERS or int(SERVERS[-1].parent.name) < 15:
        pytest.skip("no PostgreSQL 15 or newer on this machine (Debian: postgresql-15)")
    # Not below pytest's own folder, which only root may enter; and a socket's path must be short.
    folder = Path(tempfile.mkdtemp(prefix="postgresql-"))
    user: dict = {}
    if os.geteuid() == 0:  # the server refuses root
        nobody = pwd.getpwnam("nobody")
        user = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    for name in ("dump.sh", "restore.sh", "empty.sql"):
        text = (FILES / name).read_text().replace("/code/", f"{folder}/").replace("out=/tmp/", f"out={folder}/")
        (folder / name).write_text(text)
        (folder / name).chmod(0o644)
    environment = {"PATH": f"{SERVERS[-1]}:{os.environ['PATH']}", "LC_ALL": "C", "HOME": "/nowhere", "PGHOST": str(folder), "PGPORT": "54329",
                   "PGUSER": "mlflow", "PGDATABASE": "mlflow", "WORK": f"{folder}/work", "DATABASE": "mlflow"}

    def run(*command, **more):
        return subprocess.run(command, cwd=folder, env={**environment, **more}, capture_output=True, text=True, check=False, timeout=60, **user)

    run("initdb", "-D", "data", "-A", "trust", "-U", "postgres", "--no-sync")
    started = run("pg_ctl", "-D", "data", "-l", "log", "-w", "-o", f"-p 54329 -k {folder} -c listen_addresses= -c fsync=off", "start")
    assert started.returncode == 0, started.stdout
    run("psql", "-c", "create role mlflow login", "-c", "create database mlflow owner mlflow", PGUSER="postgres", PGDATABASE="postgres")
    run.folder = folder
    yield run
    run("pg_ctl", "-D", "data", "-m", "immediate", "stop")
    shutil.rmtree(folder)


@pytest.fixture
def ask(server):
    def work(sql):
        done = server("psql", "-qAtX", "-v", "ON_ERROR_STOP=1", "-c", sql)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    return work


@pytest.fixture
def dumped(server, ask):
    """A database that was dumped and then changed."""
    ask("drop schema public cascade; drop schema if exists extra, later cascade; create schema public; "
        "alter schema public owner to pg_database_owner; grant usage on schema public to public")
    ask(MADE)
    shutil.rmtree(server.folder / "work", ignore_errors=True)
    done = server("sh", "dump.sh")
    assert done.returncode == 0, done.stderr
    ask(CHANGED)
    return server.folder / "work/mlflow.dump"


def restored(ask):
    return ask("select count(*) from runs"), ask("select to_regclass('later.newer')"), ask("select string_agg(line, '') from extra.notes")


def test_a_database_comes_back_as_often_as_it_is_restored(server, ask, dumped):
    before = ask("select nspowner::regrole, nspacl from pg_namespace where nspname = 'public'")
    for _time in range(2):
        done = server("sh", "restore.sh")
        assert done.returncode == 0, done.stderr
        assert restored(ask) == ("500", "", "BEGIN;COMMIT;\\.")
    assert ask("select nspowner::regrole, nspacl from pg_namespace where nspname = 'public'") == before
    assert ask("insert into runs (name) values ('next') returning id") == "501"
    assert ask("select extname from pg_extension where extname <> 'plpgsql'") == "pg_trgm"
    assert server("sh", "dump.sh").returncode == 0, "what was restored can be backed up"


def test_a_dump_that_breaks_off_changes_nothing(server, ask, dumped):
    data = dumped.read_bytes()
    dumped.write_bytes(data[:-len(data) // 3])
    done = server("sh", "restore.sh")
    assert done.returncode != 0 and "it is as before" in done.stderr
    assert ask("select to_regclass('later.newer')") == "later.newer"


def test_an_error_in_the_middle_changes_nothing(server, ask, dumped):
    (server.folder / "empty.sql").write_text((FILES / "empty.sql").read_text() + "create table public.runs (other int);\n")
    try:
        done = server("sh", "restore.sh")
    finally:
        (server.folder / "empty.sql").write_text((FILES / "empty.sql").read_text())
    assert done.returncode != 0 and 'relation "runs" already exists' in done.stderr
    assert ask("select to_regclass('later.newer')") == "later.newer"


def test_who_is_still_connected_holds_nothing_up(server, ask, dumped):
    holder = threading.Thread(target=server, args=("psql", "-c", "begin; lock table later.newer; select pg_sleep(20)"))
    holder.start()
    while ask("select count(*) from pg_locks where relation = to_regclass('later.newer')") == "0":
        time.sleep(0.05)
    done = server("sh", "restore.sh")
    assert done.returncode == 0, done.stderr
    holder.join(5)
    assert not holder.is_alive() and restored(ask)[0] == "500"


def test_large_objects_are_refused_at_both_ends(server, ask, dumped):
    ask("select lo_from_bytea(0, 'x')")
    done = server("sh", "dump.sh")
    assert done.returncode == 1 and "large objects" in done.stderr
    server("pg_dump", "-Fc", "-f", "work/mlflow.dump")
    done = server("sh", "restore.sh")
    ask("select lo_unlink(oid) from pg_largeobject_metadata")
    assert done.returncode == 1 and "large objects" in done.stderr
    assert ask("select to_regclass('later.newer')") == "later.newer"


def test_an_error_shows_no_row_of_the_data(server, ask, dumped):
    ask("create table keys (word text check (coalesce(current_setting('my.mode', true), '') <> 'strict')); insert into keys values ('geheim')")
    assert server("sh", "dump.sh").returncode == 0
    done = server("sh", "restore.sh", PGOPTIONS="-c my.mode=strict")
    assert done.returncode != 0 and "keys" in done.stderr and "geheim" not in done.stdout + done.stderr
