# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import base64
import copy
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.openmlops.platform.plugins.module_utils.converge.masking import (
    CHANGED,
    HIDDEN,
    diff,
    masked,
    masked_values,
)

# Values that cannot be mistaken for anything else in a diff.
secrets = st.text(st.characters(min_codepoint=97, max_codepoint=122), min_size=8, max_size=20).map("s3cret".__add__)
data = st.dictionaries(st.sampled_from(["password", "uri", "tls.key", "x"]), secrets, max_size=4)


def secret(**fields):
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db", "namespace": "a"}, "type": "Opaque", **fields}


stored = st.none() | st.builds(
    lambda encoded, plain, note: secret(
        **({} if encoded is None else {"data": {k: base64.b64encode(v.encode()).decode() for k, v in encoded.items()}}),
        **({} if plain is None else {"stringData": plain}),
        metadata={"name": "db", "namespace": "a", "resourceVersion": "5", "annotations": {
            "kubectl.kubernetes.io/last-applied-configuration": json.dumps(secret(stringData=note))}},
    ),
    st.none() | data, st.none() | data, data,
)


@given(stored, stored)
def test_no_value_of_a_secret_is_ever_shown(before, after):
    if before is None and after is None:
        return
    told = json.dumps(diff(before, after))
    assert "s3cret" not in told
    assert base64.b64encode(b"s3cret")[:7].decode() not in told


@given(stored, stored)
def test_showing_leaves_the_object_as_it_is(before, after):
    kept = copy.deepcopy((before, after))
    masked(before, after)
    assert (before, after) == kept


@pytest.mark.parametrize("field", ["data", "stringData"])
@pytest.mark.parametrize("wrong", ["s3cret", ["s3cret"], 5353])
def test_values_in_a_wrong_form_are_hidden_too(field, wrong):
    told = json.dumps(diff(None, secret(**{field: wrong}))) + json.dumps(diff(secret(**{field: wrong}), secret(**{field: {"a": "b"}})))
    assert "s3cret" not in told and "5353" not in told


def test_changed_values_are_marked():
    told = diff(secret(data={"same": "YQ==", "new": "YQ==", "gone": "YQ=="}), secret(data={"same": "YQ==", "new": "Yg==", "more": "Yg=="}))
    assert f"same: {HIDDEN}" in told["before"].replace("'", "") and f"same: {HIDDEN}" in told["after"].replace("'", "")
    for name in ("new", "more"):
        assert f"{name}: {CHANGED}" in told["after"].replace("'", "")
    assert "gone" in told["before"] and "gone" not in told["after"]
    assert told["before_header"] == told["after_header"] == "Secret a/db"


def test_objects_that_come_or_go():
    obj = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "n", "uid": "u"}, "data": {"k": "v"}}
    assert diff(None, obj)["before"] == "" and "k: v" in diff(None, obj)["after"] and "uid" not in diff(None, obj)["after"]
    assert diff(obj, None)["after"] == "" and diff(obj, None)["before"] == diff(None, obj)["after"]


@pytest.mark.parametrize(
    "name",
    ["password", "postgresPassword", "db_passwd", "PASSWORD", "token", "authToken", "apiKey", "api_key", "api-key", "privateKey",
     "private_key", "secretKey", "secret_key", "secretString", "secret", "credentials", "secretAccessKey", "AWS_SECRET_ACCESS_KEY",
     "clientSecret", "client_secret", "cookieSecret", "CONFIGPROXY_AUTH_TOKEN"],
)
@pytest.mark.parametrize("shape", [lambda n: {n: "s3cret"}, lambda n: {"a": {n: "s3cret"}}, lambda n: {n: ["s3cret"]},
                                   lambda n: {n: {"ann": "s3cret"}}, lambda n: {"env": [{"name": n, "value": "s3cret"}]}],
                         ids=["plain", "deep", "list", "mapping", "env"])
def test_values_are_masked_by_name(name, shape):
    assert "s3cret" not in json.dumps(masked_values(shape(name)))


@pytest.mark.parametrize(
    "values",
    [{"existingSecret": "db"}, {"secretName": "db"}, {"auth": {"existingSecretPasswordKey": "k"}}, {"passwordSecretRef": "db"},
     {"automountServiceAccountToken": True}, {"token": None}, {"password": ""}, {"image": "x:1"}, {"replicas": 3},
     {"secretKeyRef": {"name": "db", "key": "uri"}}, {"tokenSecretName": "t"}, {"env": [{"name": "HOME", "value": "/x"}]},
     {"imagePullSecrets": [{"name": "registry"}]}],
)
def test_references_and_harmless_values_stay_readable(values):
    assert masked_values(values) == values


def test_a_private_key_is_hidden_under_any_name():
    key = "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----\n"
    assert masked_values({"https": {"manual": {"key": key, "cert": "-----BEGIN CERTIFICATE-----"}}, "files": [key]}) == {
        "https": {"manual": {"key": HIDDEN, "cert": "-----BEGIN CERTIFICATE-----"}}, "files": [HIDDEN]}
