# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from ansible_collections.openmlops.platform.plugins.module_utils.secrets.bootstrap import SecretError, plain
from ansible_collections.openmlops.platform.plugins.module_utils.secrets.declare import declarations, rotations
from ansible_collections.openmlops.platform.plugins.module_utils.secrets.model import Ref

PASSWORD = {"generate": "password"}


def problems_of(*secrets):
    return declarations(list(secrets))[1]


def secret(data=None, **fields):
    return {"name": "s", "namespace": "a", "data": {"p": PASSWORD} if data is None else data, **fields}


def test_all_problems_at_once():
    problems = problems_of(
        {"name": "Bad_Name", "namespace": "a", "data": {"p": {"generate": "passwort"}}},
        secret({"no/key": PASSWORD, "c": {"copy": "d"}, "d": {"copy": "c"}}, tpye="Opaque"),
        secret(),
        "text",
    )
    for expected in (
        "secrets[0]: name is not a valid name",
        "generate must be one of",
        "a/s: no/key is not a valid key",
        "a/s: unknown option tpye, did you mean type?",
        "a/s: is declared twice",
        "in a circle: a/s/c <- a/s/d <- a/s/c",
        "secrets[3]: must be a mapping",
    ):
        assert any(expected in problem for problem in problems), (expected, problems)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"name": ""}, "name is required"),
        ({"name": "a" * 254}, "name is not a valid name"),
        ({"namespace": "a.b"}, "namespace is not a valid name"),
        ({"namespace": "a" * 64}, "namespace is not a valid name"),
        ({"state": "gone"}, "state must be one of present, absent"),
        ({"data": {}}, "neither data nor copy_from"),
        ({"data": {"..x": PASSWORD}}, "is not a valid key"),
        ({"data": {"p": "text"}}, "a/s/p: must be a mapping"),
        ({"data": {"p": {}}}, "needs exactly one of"),
        ({"data": {"p": {"genrate": "hex"}}}, "did you mean generate?"),
        ({"data": {"p": {"generate": "hex", "copy": "x"}}}, "needs exactly one of"),
        ({"data": {"p": {"value": ""}}}, "value is empty"),
        ({"data": {"p": {"value": True}}}, "value must be a text or a number"),
        ({"data": {"p": {"value": {"a": 1}}}}, "value must be a text or a number"),
        ({"data": {"p": {"value": "%%", "encoding": "base64"}}}, "value is not base64"),
        ({"data": {"p": {"value": "x", "overwrite": "yes"}}}, "overwrite must be one of"),
        ({"data": {"p": {"value": "x" * (1024 * 1024 + 1)}}}, "more than 1 MiB"),
        ({"type": "kubernetes.io/tls"}, "needs the keys tls.crt and tls.key"),
        ({"type": "kubernetes.io/dockerconfigjson"}, "needs the key .dockerconfigjson"),
        ({"type": "kubernetes.io/basic-auth"}, "needs the key username or password"),
        ({"type": "kubernetes.io/ssh-auth"}, "needs the key ssh-privatekey"),
        ({"type": "kubernetes.io/service-account-token"}, "filled in by Kubernetes"),
        ({"labels": {"app.kubernetes.io/managed-by": "me"}}, "is set by the platform"),
        ({"labels": {"a b": "x"}}, "label a b is not valid"),
        ({"labels": {"a": "-"}}, "label a is not valid"),
        ({"labels": {"a": 1}}, "label a is not valid"),
        ({"annotations": {"a": 1}}, "annotation a is not valid"),
        ({"annotations": "x"}, "annotations must be a mapping"),
        ({"copy_from": "A"}, "copy_from must be a reference"),
        ({"copy_from": "s"}, "names the Secret itself"),
        ({"data": {"p": {"copy": "a/b/c/d"}}}, "copy must be a reference"),
    ],
)
def test_refused(fields, message):
    problems = problems_of({**secret(), **fields})
    assert any(message in problem for problem in problems), problems


def test_no_value_in_problems():
    problems = problems_of(
        secret(
            {
                "a": {"value": "hunter2", "overwrite": "hunter2", "encoding": "hunter2"},
                "b": "hunter2",
                "c": {"generate": "hunter2"},
                "d": {
                    "generate": "password",
                    "length": "hunter2",
                    "classes": "hunter2",
                    "exclude_ambiguous": "hunter2",
                },
                "e": {"format": "hunter2 {", "quote": "hunter2", "from": "hunter2"},
                "f": {"copy": "Hunter2:hunter2"},
                "g": {"htpasswd": {"username": "u", "password": {"x": "hunter2"}}},
                "h": {
                    "certificate": {
                        "private_key": "hunter2/hunter2/!",
                        "days": "hunter2",
                        "ip_addresses": ["hunter2"],
                    }
                },
            },
            state="hunter2",
            copy_from="hunter2!",
        )
    )
    assert len(problems) > 12
    assert "hunter2" not in "\n".join(problems)


def test_a_value_wins_over_a_generator_unless_it_is_empty():
    (declared,), problems = declarations(
        [
            secret(
                {
                    "a": {"value": "mine", "generate": "password"},
                    "b": {"value": "", "generate": "password"},
                    "c": {"value": None, "generate": "password"},
                    "d": {"value": 5432},
                    "e": {"value": "eA==", "encoding": "base64"},
                }
            )
        ]
    )
    assert not problems
    assert [spec.given for spec in declared.data.values()] == [b"mine", None, None, b"5432", b"x"]


def test_sources_that_are_declared_absent():
    problems = problems_of(
        secret({"p": {"copy": "gone/p"}}),
        {"name": "t", "namespace": "a", "copy_from": "gone"},
        {"name": "gone", "namespace": "a", "state": "absent"},
    )
    assert [problem.partition(":")[0] for problem in problems] == ["a/s/p", "a/t"]


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("a/s", "must be of the form"),
        (3, "must be of the form"),
        ("a/s/unknown", "is not declared"),
        ("a/t/p", "is not declared"),
        ("a/s/given", "is given by you"),
        ("a/s/both", "is given by you"),
        ("a/s/text", "follows from a/s/p: rotate that instead"),
    ],
)
def test_what_cannot_be_rotated(entry, message):
    declared, problems = declarations(
        [
            secret(
                {
                    "p": PASSWORD,
                    "given": {"value": "x"},
                    "both": {"value": "x", "generate": "hex"},
                    "text": {"format": "{p}"},
                }
            )
        ]
    )
    assert not problems
    found, problems = rotations([entry], declared, True)
    assert not found
    assert message in problems[0]


def test_rotations_of_other_calls():
    declared, _problems = declarations([secret()])
    assert rotations(["a/s/p", "b/other/key"], declared, False) == ({Ref("a", "s", "p")}, [])


def test_one_problem_is_one_line(run):
    with pytest.raises(SecretError, match=r"\Aa/s: has neither data nor copy_from\Z"):
        run({"name": "s", "namespace": "a"})
    with pytest.raises(SecretError, match=r"\A2 problems:\n- .*\n- .*\Z"):
        run({"name": "s", "namespace": "a"}, {"name": "t", "namespace": "a"})


def test_plain():
    class Tagged(str):
        pass

    class Encrypted:
        def __str__(self):
            return "decrypted"

    found = plain({Tagged("a"): (Tagged("b"), 1, True, None, 1.5), "e": Encrypted()})
    assert found == {"a": ["b", 1, True, None, 1.5], "e": "decrypted"}
    assert {type(entry) for entry in [*found, *found["a"], found["e"]]} == {str, int, bool, type(None), float}
