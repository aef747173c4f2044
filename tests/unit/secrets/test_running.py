# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole way against a stand-in for the API server."""

from __future__ import annotations

import base64
import json

import pytest

from ansible_collections.openmlops.platform.plugins.module_utils.kube.errors import KubeError
from ansible_collections.openmlops.platform.plugins.module_utils.secrets.bootstrap import SecretError, bootstrap
from ansible_collections.openmlops.platform.plugins.module_utils.secrets.fingerprint import KEY_SECRET

DB = {
    "name": "db",
    "namespace": "a",
    "type": "kubernetes.io/basic-auth",
    "labels": {"team": "data"},
    "data": {
        "username": {"value": "ml@flow"},
        "password": {"generate": "password"},
        "other": {"generate": "hex"},
        "uri": {"format": "postgresql://{username}:{password}@db:5432/x"},
    },
}
COPY = {"name": "db", "namespace": "b", "copy_from": "a/db"}
USER = {
    "name": "user",
    "namespace": "b",
    "data": {"password": {"copy": "a/db/password"}, "own": {"generate": "uuid"}},
}


def changes(report):
    """Returns what changed, by Secret and kind."""
    found = {}
    for entry in report.result["secrets"]:
        kinds = {k: entry[f"{k}_keys"] for k in ("created", "rotated", "updated") if entry[f"{k}_keys"]}
        if kinds or entry["action"] != "unchanged":
            found[f"{entry['namespace']}/{entry['name']}"] = kinds
    return found


def test_create_then_nothing(run, cluster):
    first = run(DB, COPY, USER)
    assert first.result["changed"]
    assert changes(first)["a/db"] == {"created": ["other", "password", "uri", "username"]}
    data = cluster.data("a", "db")
    assert data["uri"].decode() == f"postgresql://ml%40flow:{data['password'].decode()}@db:5432/x"
    assert cluster.data("b", "db") == data
    assert cluster.data("b", "user")["password"] == data["password"]
    stored = cluster.objects[("a", "db")]
    assert stored["metadata"]["labels"] == {
        "app.kubernetes.io/managed-by": "openmlops",
        "app.kubernetes.io/part-of": "openmlops-platform",
        "team": "data",
    }
    assert cluster.objects[("b", "db")]["type"] == stored["type"] == "kubernetes.io/basic-auth"
    cluster.requests.clear()
    second = run(DB, COPY, USER)
    assert not second.result["changed"] and not second.diff and not changes(second)
    assert second.result["fingerprints"] == first.result["fingerprints"]
    # one read for each Secret, the two keys of the fingerprints included, and nothing else
    assert sorted(cluster.requests) == sorted(
        ("get", *key) for key in [("a", "db"), ("b", "db"), ("b", "user"), ("a", KEY_SECRET), ("b", KEY_SECRET)]
    )


def test_only_what_is_missing_or_empty_is_made(run, cluster):
    cluster.put(
        "a",
        "db",
        {"password": "kept", "other": "", "foreign": "x"},
        type="kubernetes.io/basic-auth",
        metadata={"labels": {"mine": "1"}, "finalizers": ["f/f"]},
    )
    report = run(DB)
    assert changes(report) == {"a/db": {"created": ["other", "uri", "username"]}}
    data = cluster.data("a", "db")
    assert (data["password"], data["foreign"]) == (b"kept", b"x")
    assert len(data["other"]) == 64
    meta = cluster.objects[("a", "db")]["metadata"]
    assert meta["labels"]["mine"] == "1" and meta["labels"]["team"] == "data" and meta["finalizers"] == ["f/f"]


def test_given_values(run, cluster):
    def declared(value, **spec):
        return {"name": "s", "namespace": "a", "data": {"v": {"value": value, **spec}}}

    run(declared("one"))
    assert changes(run(declared("two"))) == {"a/s": {"updated": ["v"]}}
    assert changes(run(declared("three", overwrite="never"))) == {}
    assert cluster.data("a", "s")["v"] == b"two"
    # bring your own, then go back to what is there
    assert changes(run(declared("mine", generate="password"))) == {"a/s": {"updated": ["v"]}}
    assert changes(run(declared("", generate="password"))) == {}
    assert cluster.data("a", "s")["v"] == b"mine"


def test_rotation_of_one_key_with_its_followers(run, cluster):
    run(DB, COPY, USER)
    before = {key: cluster.data(*key) for key in [("a", "db"), ("b", "db"), ("b", "user")]}
    report = run(DB, COPY, USER, rotate=["a/db/password"])
    assert changes(report) == {
        "a/db": {"rotated": ["password"], "updated": ["uri"]},
        "b/db": {"updated": ["password", "uri"]},
        "b/user": {"updated": ["password"]},
    }
    after = {key: cluster.data(*key) for key in before}
    assert after[("a", "db")]["password"] != before[("a", "db")]["password"]
    assert after[("a", "db")]["password"].decode() in after[("b", "db")]["uri"].decode()
    for key in before:
        changed = {name for name in before[key] if before[key][name] != after[key][name]}
        assert changed <= {"password", "uri"}
    note = json.loads(cluster.objects[("a", "db")]["metadata"]["annotations"]["openmlops.io/rotated-at"])
    assert list(note) == ["password"]
    assert not run(DB, COPY, USER).result["changed"]


def test_rotating_a_missing_key_just_creates_it(run):
    assert changes(run(DB, rotate=["a/db/other"]))["a/db"] == {"created": ["other", "password", "uri", "username"]}


def test_followers_catch_up_after_a_run_that_died(run, cluster):
    run(DB, COPY)
    cluster.put(
        "a",
        "db",
        {**{k: v.decode() for k, v in cluster.data("a", "db").items()}, "password": "new"},
        type="kubernetes.io/basic-auth",
    )
    assert changes(run(DB, COPY)) == {"a/db": {"updated": ["uri"]}, "b/db": {"updated": ["password", "uri"]}}


def test_check_mode_writes_nothing_and_makes_nothing(run, cluster):
    report = run(DB, COPY, check=True)
    assert report.result["changed"]
    assert changes(report)["b/db"] == {"created": ["other", "password", "uri", "username"]}
    assert set(report.result["fingerprints"].values()) == {"known-after-apply"}
    assert not cluster.objects and not cluster.writes()
    done = run(DB, COPY)
    cluster.requests.clear()
    again = run(DB, COPY, check=True)
    assert not again.result["changed"] and again.result["fingerprints"] == done.result["fingerprints"]
    rotated = run(DB, COPY, rotate=["a/db/password"], check=True)
    assert changes(rotated) == {
        "a/db": {"rotated": ["password"], "updated": ["uri"]},
        "b/db": {"updated": ["password", "uri"]},
    }
    assert rotated.result["fingerprints"]["a/db"] == "known-after-apply"
    assert not cluster.writes()


def test_check_mode_tells_what_the_real_run_does(run):
    planned = run(DB, COPY, USER, check=True)
    real = run(DB, COPY, USER)
    assert changes(planned) == changes(real)
    assert planned.diff == real.diff


def test_sources_that_do_not_exist(run, cluster):
    secrets = [
        {"name": "s", "namespace": "a", "data": {"x": {"copy": "b/none/k"}, "y": {"format": "{missing}"}}},
        {"name": "t", "namespace": "a", "copy_from": "b/none"},
    ]
    with pytest.raises(SecretError) as error:
        run(*secrets)
    for expected in (
        "a/s/x: the source b/none/k does not exist",
        "a/s/y: the source a/s/missing",
        "a/t: the source b/none",
    ):
        assert expected in str(error.value)
    assert not cluster.writes()
    report = run(*secrets, check=True)
    assert len(report.warnings) == 3 and all("does not exist yet" in warning for warning in report.warnings)


def test_values_that_do_not_fit(run, cluster):
    with pytest.raises(SecretError, match="a/s/pub: cannot be made from a/s/key: is not a private key") as error:
        run({"name": "s", "namespace": "a", "data": {"key": {"value": "hunter2"}, "pub": {"public_of": "key"}}})
    assert "hunter2" not in str(error.value) and not cluster.writes()


def test_existing_secret_that_cannot_be_changed(run, cluster):
    cluster.put("a", "db", {"password": "x"}, type="Opaque")
    cluster.put("b", "user", {"password": "x"}, immutable=True)
    with pytest.raises(SecretError) as error:
        run(DB, {"name": "user", "namespace": "b", "data": {"own": {"generate": "uuid"}}})
    assert "exists with type Opaque, which cannot be changed" in str(error.value)
    assert "b/user: is immutable" in str(error.value)
    assert not cluster.writes()


def test_too_large_with_what_exists(run, cluster):
    cluster.put("a", "s", {"foreign": "x" * 1_048_570})
    with pytest.raises(SecretError, match="a/s: would hold more than 1 MiB"):
        run({"name": "s", "namespace": "a", "data": {"p": {"generate": "password"}}})


def test_label_of_another_tool_stays(run, cluster):
    cluster.put("a", "s", {"p": "x"}, metadata={"labels": {"app.kubernetes.io/managed-by": "Helm"}})
    report = run({"name": "s", "namespace": "a", "data": {"p": {"generate": "password"}}})
    assert "is managed by Helm" in report.warnings[0]
    labels = cluster.objects[("a", "s")]["metadata"]["labels"]
    assert labels == {"app.kubernetes.io/managed-by": "Helm", "app.kubernetes.io/part-of": "openmlops-platform"}
    assert not run({"name": "s", "namespace": "a", "data": {"p": {"generate": "password"}}}).result["changed"]


def test_absent_needs_purge_and_our_label(run, cluster):
    run(DB)
    gone = {"name": "db", "namespace": "a", "state": "absent"}
    assert not run(gone).result["changed"] and ("a", "db") in cluster.objects
    assert run(gone, purge=True, check=True).result["changed"] and ("a", "db") in cluster.objects
    report = run(gone, purge=True)
    assert report.result["secrets"][0]["action"] == "deleted" and ("a", "db") not in cluster.objects
    assert not run(gone, purge=True).result["changed"]
    cluster.put("a", "db", {"x": "y"})
    with pytest.raises(SecretError, match="is not deleted, because its label"):
        run(gone, purge=True)


def test_rights_that_are_missing(run, cluster):
    cluster.forbidden = {("get", "b")}
    with pytest.raises(SecretError) as error:
        run(DB, COPY, USER)
    assert str(error.value).count("no right to read it") == 3
    cluster.forbidden = {("create", "b")}
    with pytest.raises(SecretError, match=r"b/openmlops-fingerprint-key: create failed: .*Written before: a/"):
        run(DB, COPY)


def test_namespaces_that_do_not_exist(run, cluster):
    cluster.namespaces = {"a"}
    with pytest.raises(SecretError, match="these namespaces do not exist: b, c"):
        run(DB, COPY, {"name": "x", "namespace": "c", "data": {"p": {"generate": "hex"}}})


def test_server_message_with_a_value_is_withheld(run, cluster):
    def refuse(verb, namespace, name):
        if verb == "create" and name == "db":
            raise KubeError(422, "Invalid", f"webhook denied: {text}")

    cluster.before = refuse
    for text in ("ml@flow", base64.b64encode(b"ml@flow").decode()):
        with pytest.raises(SecretError) as error:
            run(DB)
        assert text not in str(error.value) and "withheld" in str(error.value)
    text = "quota of namespace a"
    with pytest.raises(SecretError, match="webhook denied: quota of namespace a"):
        run(DB)


# -- runs at the same time ------------------------------------------------------------------------------------------


def test_somebody_creates_the_secret_first(run, cluster):
    def rival(verb, namespace, name):
        if verb == "create" and (namespace, name) == ("a", "db") and ("a", "db") not in cluster.objects:
            cluster.put("a", "db", {"password": "theirs", "foreign": "f"}, type="kubernetes.io/basic-auth")

    cluster.before = rival
    report = run(DB, COPY)
    data = cluster.data("a", "db")
    assert data["password"] == b"theirs" and data["foreign"] == b"f" and b"theirs" in data["uri"]
    assert cluster.data("b", "db") == data
    assert "password" not in changes(report)["a/db"]["created"]


def test_somebody_changes_the_secret_between_read_and_write(run, cluster):
    run(DB, COPY)
    state = {"left": 2}

    def rival(verb, namespace, name):
        if verb == "update" and (namespace, name) == ("a", "db") and state["left"]:
            state["left"] -= 1
            values = {k: v.decode() for k, v in cluster.data("a", "db").items()}
            cluster.put("a", "db", {**values, "foreign": str(state["left"])}, type="kubernetes.io/basic-auth")

    cluster.before = rival
    report = run(DB, COPY, rotate=["a/db/password"])
    assert changes(report)["a/db"] == {"rotated": ["password"], "updated": ["uri"]}
    assert cluster.data("a", "db")["foreign"] == b"0"
    assert cluster.data("b", "db") == cluster.data("a", "db")


def test_followers_follow_the_value_that_wins(run, cluster):
    """A rival rotates after our write of the source and before our write of the copy."""
    run(DB, COPY)
    state = {"armed": True}

    def rival(verb, namespace, name):
        if verb == "update" and (namespace, name) == ("b", "db") and state["armed"]:
            state["armed"] = False
            values = {k: v.decode() for k, v in cluster.data("a", "db").items()}
            cluster.put("a", "db", {**values, "password": "theirs"}, type="kubernetes.io/basic-auth")

    cluster.before = rival
    run(DB, COPY, rotate=["a/db/password"])
    assert cluster.data("a", "db")["password"] == b"theirs"
    assert cluster.data("b", "db") == cluster.data("a", "db")
    assert b"theirs" in cluster.data("b", "db")["uri"]


def test_secret_deleted_between_read_and_write(run, cluster):
    run(DB)
    state = {"armed": True}

    def rival(verb, namespace, name):
        if verb == "update" and state["armed"]:
            state["armed"] = False
            del cluster.objects[("a", "db")]

    cluster.before = rival
    run(DB, rotate=["a/db/password"])
    assert set(cluster.data("a", "db")) == set(DB["data"])


def test_gives_up_at_last(cluster):
    cluster.before = lambda verb, namespace, name: verb == "update" and cluster.put("a", "s", {"x": "1"})
    cluster.put("a", "s", {"x": "0"})
    from ansible_collections.openmlops.platform.plugins.module_utils.secrets import declare, running

    declared, _problems = declare.declarations([{"name": "s", "namespace": "a", "data": {"p": {"generate": "hex"}}}])
    pauses = []
    with pytest.raises(running.Failed, match="other runs keep changing"):
        running.run(cluster, declared, sleep=pauses.append)
    assert len(pauses) > 5


# -- nothing leaks --------------------------------------------------------------------------------------------------


def test_no_value_in_result_diff_or_warnings(run, cluster):
    secrets = [
        DB,
        COPY,
        USER,
        {
            "name": "all",
            "namespace": "a",
            "data": {
                "rsa": {"generate": "rsa", "bits": 2048},
                "pub": {"public_of": "rsa"},
                "j": {"generate": "jwks", "algorithm": "ES256"},
                "h": {"htpasswd": {"username": "ann", "password": "given-password"}, "cost": 4},
                "crt": {"certificate": {"private_key": "rsa", "dns_names": ["x.example.org"], "days": 2}},
            },
        },
    ]
    told = ""
    for options in (
        {"check": True},
        {},
        {"rotate": ["a/db/password", "a/all/rsa"], "check": True},
        {"rotate": ["a/all/rsa"]},
        {},
    ):
        report = run(*secrets, **options)
        told += json.dumps([report.result, report.diff, report.warnings])
        for key in cluster.objects:
            for value in cluster.data(*key).values():
                assert value.decode().strip() not in told
                assert base64.b64encode(value).decode() not in told
    assert "given-password" not in told
    assert "the certificate ends on" in told


def test_a_bug_tells_its_place_but_not_its_text(run, cluster):
    def fault(verb, namespace, name):
        raise ValueError("invalid value: hunter2")

    cluster.before = fault
    with pytest.raises(SecretError, match=r"unforeseen ValueError .* at test_running.py:") as error:
        run(DB)
    assert "hunter2" not in str(error.value) and error.value.__cause__ is None and error.value.__suppress_context__


def test_connects_only_when_the_declarations_are_right():
    def connect():
        raise AssertionError("connected")

    with pytest.raises(SecretError):
        bootstrap(connect, [{"name": "s", "namespace": "a"}])


@pytest.mark.parametrize("change", ["value", "key", "type", "none"])
def test_fingerprint(run, cluster, change):
    first = run(DB).result["fingerprints"]["a/db"]
    values = {k: v.decode() for k, v in cluster.data("a", "db").items()}
    if change == "value":
        values["other"] = "changed"
    elif change == "key":
        values["foreign"] = "x"
    cluster.put("a", "db", values, type="kubernetes.io/basic-auth")
    declared = DB
    if change == "type":
        cluster.put("a", "db", values, type="Opaque")
        declared = {**DB, "type": "Opaque"}
    second = run(declared).result["fingerprints"]["a/db"]
    assert (first == second) == (change == "none")
    assert len(first) == 32 and int(first, 16)


def test_fingerprints_do_not_show_equal_values(run):
    data = {"v": {"value": "same"}}
    marks = run({"name": "x", "namespace": "a", "data": data}, {"name": "y", "namespace": "a", "data": data}).result[
        "fingerprints"
    ]
    assert marks["a/x"] != marks["a/y"]


def test_copies_of_copies(run, cluster):
    chain = [
        {"name": "third", "namespace": "a", "copy_from": "second"},
        {"name": "second", "namespace": "a", "copy_from": "db"},
        DB,
    ]
    run(*chain)
    assert cluster.data("a", "third") == cluster.data("a", "db")
    assert not run(*chain).result["changed"]
    cluster.put(
        "a",
        "db",
        {**{k: v.decode() for k, v in cluster.data("a", "db").items()}, "more": "1"},
        type="kubernetes.io/basic-auth",
    )
    run(*chain)
    assert cluster.data("a", "third")["more"] == b"1"


def test_circle_of_copies(run):
    with pytest.raises(SecretError, match="in a circle"):
        run(
            {"name": "x", "namespace": "a", "copy_from": "y"},
            {"name": "y", "namespace": "a", "copy_from": "x", "data": {"k": {"generate": "hex"}}, "state": "present"},
            {"name": "z", "namespace": "a", "data": {"a": {"format": "{b}"}, "b": {"format": "{a}"}}},
        )


def test_secrets_that_need_each_other_key_by_key(run, cluster):
    one = {"name": "one", "namespace": "a", "data": {"p": {"generate": "hex"}, "q": {"copy": "two/q"}}}
    two = {"name": "two", "namespace": "a", "data": {"p": {"copy": "one/p"}, "q": {"generate": "hex"}}}
    run(one, two)
    assert cluster.data("a", "one") == cluster.data("a", "two")
