# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

CHART = "seaweedfs"


@pytest.mark.parametrize(("values", "message"), [
    ({}, "set allInOne.s3.existingConfigSecret"),
    ({"allInOne": {"s3": {"existingConfigSecret": "a"}}}, "set allInOne.data.claimName"),
])
def test_identities_and_volume_are_required(render, values, message):
    with pytest.raises(render.error, match=message):
        render(CHART, values, minimal=False)


def test_arguments(render):
    rendered = render(CHART, {"allInOne": {"extraArgs": ["-s3.iam.readOnly=false"]}, "master": {"volumeSizeLimitMB": 512}})
    arguments = rendered.container["args"]
    assert {"-dir=/data", "-ip=$(POD_IP)", "-s3.config=/etc/sw/s3/seaweedfs_s3_config", "-s3.port=8333",
            "-master.volumeSizeLimitMB=512", "-s3.iam.readOnly=false"} <= set(arguments)
    # `weed` takes its own flags before the name of the command, the command's after it.
    assert arguments.index("-logtostderr") < arguments.index("server") < arguments.index("-dir=/data")
    assert rendered.env["POD_IP"] == {"fieldRef": {"fieldPath": "status.podIP"}}
    assert render(CHART, {"allInOne": {"extraEnvironmentVars": {"WEED_A": "1"}}}).env["WEED_A"] == "1"


def test_only_what_asks_for_keys_is_offered(render):
    """Master, volume server and filer answer anybody."""
    rendered = render(CHART, {"allInOne": {"s3": {"port": 9000}}})
    assert rendered.one("Service")["spec"]["ports"] == [{"name": "swfs-s3", "port": 9000, "targetPort": "swfs-s3"}]
    assert rendered.container["ports"] == [{"name": "swfs-s3", "containerPort": 9000}]


def test_volume_and_identities(render):
    volumes = {volume.pop("name"): volume for volume in render(CHART).pod["spec"]["volumes"]}
    assert volumes == {"data": {"persistentVolumeClaim": {"claimName": "s3-data"}},
                       "identities": {"secret": {"secretName": "s3-identities"}}}
    rendered = render(CHART, {"allInOne": {"data": {"type": "emptyDir"}, "extraVolumes": "- {name: tmp, emptyDir: {}}\n",
                                           "extraVolumeMounts": "- {name: tmp, mountPath: /tmp}\n"}})
    assert rendered.pod["spec"]["volumes"][0] == {"name": "data", "emptyDir": {}}
    assert {"name": "tmp", "mountPath": "/tmp"} in rendered.container["volumeMounts"]


def test_account(render):
    rendered = render(CHART, {"global": {"seaweedfs": {"serviceAccountName": "mine"}}, "allInOne": {"serviceAccountName": "mine"}})
    assert rendered.one("ServiceAccount")["metadata"]["name"] == rendered.pod["spec"]["serviceAccountName"] == "mine"
    assert "serviceAccountName" not in render(CHART).pod["spec"]


@pytest.mark.parametrize("values", [
    {"allInOne": {"enabled": False}}, {"allInOne": {"s3": {"enableAuth": False}}}, {"allInOne": {"data": {"type": "hostPath"}}},
    {"global": {"seaweedfs": {"createClusterRole": True}}}, {"filer": {}}])
def test_what_it_does_not_do(render, values):
    with pytest.raises(render.error, match="schema"):
        render(CHART, values)
