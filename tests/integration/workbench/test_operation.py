# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Notebooks, flows and Dask in the engineer's hands: run again, preview, status."""

from __future__ import annotations

import base64
import json

import pytest

from ansible_collections.openmlops.platform.tests.integration.platform_client import secret
from ansible_collections.openmlops.platform.tests.integration.workbench.chosen import ADA, CHOSEN


def test_second_run_changes_nothing(cluster, gateway, variables):
    again = cluster.run("up", "-e", f"@{variables}", **CHOSEN).ok()
    assert again.changed == 0
    print(f"  second run: {again.seconds:.1f} s")


def test_check_on_a_converged_cluster_says_nothing_changes(cluster, gateway, variables):
    checked = cluster.run("up", "--check", "--diff", "-e", f"@{variables}", **CHOSEN).ok()
    assert checked.changed == 0 and "+++ after" not in checked.text


def test_all_are_ready_and_have_an_address(cluster, gateway):
    found = {entry["name"]: entry for entry in json.loads(cluster.run("status", OUTPUT="json").ok().text)["components"]}
    assert all(found[name]["ready"] for name in ("jupyterhub", "prefect", "dask"))
    assert found["jupyterhub"]["url"] == f"{gateway.url}/jupyter/" and found["prefect"]["url"] == f"{gateway.url}/prefect/"


@pytest.mark.slow
def test_no_secret_is_ever_shown(cluster, gateway, variables):
    loud = cluster.run("up", "-vvv", "--diff", "-e", f"@{variables}", "-e", "prefect_log_level=INFO", "-e", "jupyterhub_cull_timeout=4000", **CHOSEN).ok()
    assert loud.changed > 0
    for place, value in cluster.secret_values().items():
        for form in (value, base64.b64encode(value.encode()).decode()):
            assert form not in loud.text, f"{place} is shown"
    cluster.run("up", "-e", f"@{variables}", **CHOSEN).ok()


@pytest.mark.slow
def test_files_outlive_a_restart_of_the_cluster(cluster, gateway, variables, login):
    before = login(ADA)
    before.start()
    before.run("import pathlib; pathlib.Path.home().joinpath('restart.txt').write_text('still here')")
    cluster.run("down").ok()
    cluster.run("up", "-e", f"@{variables}", **CHOSEN).ok()
    after = login(ADA)
    after.start()
    assert "still here" in after.run("import pathlib; print(pathlib.Path.home().joinpath('restart.txt').read_text())")


@pytest.mark.slow
def test_with_the_dummy_login_a_password_opens_the_hub(cluster, gateway, variables, login):
    cluster.run("up", "-e", f"@{variables}", "-e", "jupyterhub_authenticator=dummy", **CHOSEN).ok()
    try:
        visitor = login(ADA)
        assert 'name="password"' in visitor.open("/jupyter/hub/login").text
        token = next(cookie.value for cookie in visitor.http.cookies if cookie.name == "_xsrf" and cookie.path == "/jupyter/hub/")

        def enter(password):
            return visitor.http.post(f"{gateway.url}/jupyter/hub/login", timeout=60, allow_redirects=False,
                                     data={"username": "grace", "password": password, "_xsrf": token})

        assert enter("not-the-password").status_code == 403
        assert enter(secret(cluster, "jupyterhub", "jupyterhub", "dummy-password")).status_code == 302
        home = visitor.open("/jupyter/hub/home")
        assert home.status_code == 200 and "grace" in home.text
    finally:
        cluster.run("up", "-e", f"@{variables}", **CHOSEN).ok()
