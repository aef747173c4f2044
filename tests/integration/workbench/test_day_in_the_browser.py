# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A data scientist's day in a real browser: log in, run a notebook, look at Prefect and Feast.

OPENMLOPS_PICTURES names a folder for pictures of the pages.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from ansible_collections.openmlops.platform.tests.integration import browser as browsers
from ansible_collections.openmlops.platform.tests.integration.platform_client import secret
from ansible_collections.openmlops.platform.tests.integration.workbench.chosen import ADA

CELLS = ["import mlflow\nfrom sklearn.datasets import load_diabetes\nfrom sklearn.linear_model import ElasticNet",
         "data = load_diabetes(as_frame=True)\nmlflow.set_experiment('day')\nwith mlflow.start_run() as run:\n"
         "    model = ElasticNet(alpha=0.01).fit(data.data, data.target)\n    mlflow.log_metric('r2', model.score(data.data, data.target))",
         "print('tracked', run.info.run_id)"]


@pytest.fixture
def visitor(cluster, gateway, tmp_path):
    """Ada at a browser that nobody used before."""
    pictures = Path(os.environ.get("OPENMLOPS_PICTURES") or tmp_path)
    pictures.mkdir(parents=True, exist_ok=True)
    with browsers.started() as browser:
        found = browsers.Visitor(browser, gateway.url, pictures, viewport={"width": 1200, "height": 760})
        found.open("/jupyter/")
        found.login(ADA, secret(cluster, "ory", f"user-{ADA.replace('@', '-').replace('.', '-')}", "password"))
        yield found


def test_a_notebook_runs_and_is_tracked(ada, visitor):
    cells = [{"cell_type": "code", "id": f"c{number}", "metadata": {}, "execution_count": None, "outputs": [], "source": text}
             for number, text in enumerate(CELLS)]
    notebook = {"cells": cells, "nbformat": 4, "nbformat_minor": 5,
                "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}}
    ada.run(f"import pathlib; (pathlib.Path.home() / 'day.ipynb').write_text({json.dumps(notebook)!r})")
    page = visitor.page
    page.locator("#jp-main-dock-panel").wait_for()
    visitor.open(f"{ada.server}/lab/tree/day.ipynb")
    page.locator(".jp-Notebook .jp-CodeCell").first.wait_for()
    # Before the kernel is there, JupyterLab runs nothing and says nothing.
    page.locator("#jp-main-statusbar", has_text="Idle").wait_for()
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    output = page.locator(".jp-OutputArea-output", has_text="tracked")
    output.wait_for(timeout=300_000)
    run = output.inner_text().split()[-1]
    visitor.picture("notebook")
    assert page.locator(".jp-Notification, .jp-toastContainer .Toastify__toast").count() == 0, "JupyterLab asks for something"
    found = ada.open(f"/mlflow/api/2.0/mlflow/runs/get?run_id={run}").json()["run"]
    assert found["info"]["status"] == "FINISHED" and found["data"]["metrics"][0]["key"] == "r2"


def test_the_other_tools_open_with_the_same_login(visitor):
    visitor.open("/prefect/")
    visitor.page.get_by_text("Deployments").first.wait_for()
    visitor.picture("prefect")
    visitor.open("/feast/")
    visitor.page.get_by_text("platform").first.wait_for()
    visitor.picture("feast")
    visitor.open("/")
    assert {"JupyterHub", "MLflow", "Prefect", "Feast"} <= {text.splitlines()[0] for text in visitor.services()}
