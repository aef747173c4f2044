# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import datetime
import os
import socket
import subprocess

import pytest

from ansible_collections.openmlops.platform.plugins.module_utils.converge import lease
from ansible_collections.openmlops.platform.plugins.module_utils.converge.lease import Busy, RunLock, is_dead, own_identity
from ansible_collections.openmlops.platform.plugins.module_utils.kube.errors import KubeError
from ansible_collections.openmlops.platform.tests.unit.converge.fakes import manifest


def held_by(identity, seconds_ago=0.0, duration=60):
    at = datetime.datetime.now(datetime.UTC) - datetime.timedelta(seconds=seconds_ago)
    return manifest("Lease", "openmlops-run", "openmlops", "coordination.k8s.io/v1", spec={
        "holderIdentity": identity, "leaseDurationSeconds": duration, "renewTime": at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")})


def holder(cluster):
    return cluster.find("Lease", "openmlops-run", "openmlops")["spec"]["holderIdentity"]


@pytest.fixture
def lock(cluster, told):
    return lambda patience=600.0: RunLock(cluster, "openmlops", told.append, patience)


@pytest.fixture
def dead_identity():
    """The identity of a run of this machine whose process has ended."""
    with subprocess.Popen(["sleep", "60"]) as process:
        start = lease._start_of(process.pid)
        process.kill()
        process.wait()
    parts = own_identity().split()
    return " ".join([*parts[:2], str(process.pid), start, *parts[4:]])


# -- who ------------------------------------------------------------------------------------------------------------


def test_identity_is_that_of_the_playbook():
    parts = own_identity().split()
    assert parts[0] == socket.gethostname() and parts[2] == str(os.getppid())
    assert own_identity() == own_identity()
    assert not is_dead(own_identity())


def test_dead(dead_identity):
    assert is_dead(dead_identity)


def test_process_number_that_was_used_again():
    parts = own_identity().split()
    assert is_dead(" ".join([*parts[:3], str(int(parts[3]) - 5), *parts[4:]]))


@pytest.mark.parametrize("change", [(0, "elsewhere"), (4, "other-boot/pid:[1]"), (4, "unknown"), (2, "none")])
def test_nothing_is_known_of_other_machines(dead_identity, change):
    """Two containers may share their host's name: a number that is not taken here says nothing about the other."""
    parts = dead_identity.split()
    parts[change[0]] = change[1]
    if change[0] == 0:
        parts[4] = "other"
    assert not is_dead(" ".join(parts))


@pytest.mark.parametrize("identity", ["", "somebody", "a b c d e f g", "h u 1 2"])
def test_identities_of_other_programs(identity):
    assert not is_dead(identity)


# -- one at a time --------------------------------------------------------------------------------------------------


def test_holds_and_lets_go(lock, cluster, clock, told):
    with lock():
        assert holder(cluster) == own_identity()
        assert cluster.find("Lease", "openmlops-run", "openmlops")["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "openmlops"
    assert holder(cluster) == ""
    with lock():
        assert holder(cluster) == own_identity()
    assert not told and clock.now == 1000


def test_lets_go_after_an_error(lock, cluster):
    with pytest.raises(ZeroDivisionError), lock():
        raise ZeroDivisionError
    assert holder(cluster) == ""


def test_names_the_holder_and_gives_up(lock, cluster, clock, told):
    cluster.put(held_by("far ann 77 123 boot/pid:[1]"))
    with pytest.raises(Busy) as error, lock(patience=5.0):
        pass
    assert "host far, user ann, process 77" in str(error.value) and "platform_lock_timeout" in str(error.value)
    assert len(told) == 1 and "host far, user ann, process 77" in told[0]
    assert 5 < clock.now - 1000 < 8
    assert holder(cluster) == "far ann 77 123 boot/pid:[1]"


def test_waits_until_the_holder_lets_go(lock, cluster, clock, told):
    cluster.put(held_by("far ann 77 123 boot/pid:[1]"))
    clock.tick = lambda now: now > 1010 and not told[1:] and (told.append("x"), cluster.put(held_by("")))
    with lock():
        assert holder(cluster) == own_identity()
    assert clock.now > 1010


@pytest.mark.parametrize(
    "stored",
    [lambda dead: held_by(""), held_by, lambda dead: held_by("far ann 77 123 x/y", seconds_ago=61),
     lambda dead: manifest("Lease", "openmlops-run", "openmlops", "coordination.k8s.io/v1", spec={"holderIdentity": "far ann 1 2 3"})],
    ids=["free", "dead", "expired", "never renewed"],
)
def test_takes_over(lock, cluster, clock, dead_identity, stored):
    cluster.put(stored(dead_identity))
    with lock():
        assert holder(cluster) == own_identity()
    assert clock.now == 1000


@pytest.mark.parametrize("verb", ["create", "replace"])
def test_somebody_is_a_moment_faster(lock, cluster, clock, verb):
    if verb == "replace":
        cluster.put(held_by(""))
    rivals = iter([held_by("far ann 77 123 x/y", duration=0)])

    def rival(found, obj):
        if found == verb and (first := next(rivals, None)):
            cluster.put(first)

    cluster.before = rival
    with lock():
        assert holder(cluster) == own_identity()
    assert clock.now > 1000


def test_lock_that_was_taken_meanwhile_is_left_alone(lock, cluster):
    with lock():
        cluster.put(held_by("far ann 77 123 x/y"))
    assert holder(cluster) == "far ann 77 123 x/y"


def test_server_that_is_gone_at_the_end_hides_nothing(lock, cluster):
    def fault(verb, obj):
        raise KubeError(500, "x", "gone")

    with pytest.raises(ZeroDivisionError), lock():
        cluster.before = fault
        raise ZeroDivisionError


def test_renews(lock, cluster, monkeypatch):
    monkeypatch.setattr(lease, "_RENEW_SECONDS", 0.01)
    import time

    with lock():
        first = cluster.find("Lease", "openmlops-run", "openmlops")["spec"]["renewTime"]
        deadline = time.monotonic() + 10
        while cluster.find("Lease", "openmlops-run", "openmlops")["spec"]["renewTime"] == first:
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_run_that_lost_the_cluster_is_told(lock, cluster, monkeypatch):
    monkeypatch.setattr(lease, "_RENEW_SECONDS", 0.01)
    import time

    with lock() as held:
        held.check()
        cluster.put(held_by("far ann 77 123 boot/pid:[1]"))
        deadline = time.monotonic() + 10
        while not held._lost:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        with pytest.raises(Busy, match="lost the cluster to host far, user ann, process 77"):
            held.check()
