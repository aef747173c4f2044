# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The story as one test: its notebook, run in JupyterHub by a person, while a program asks the model that it deploys and replaces."""

from __future__ import annotations

import contextlib
import json
import threading
import time

import pytest

from ansible_collections.openmlops.platform.tests.integration.conftest import ROOT
from ansible_collections.openmlops.platform.tests.integration.platform_client import secret
from ansible_collections.openmlops.platform.tests.integration.workbench.chosen import ADA
from ansible_collections.openmlops.platform.tests.integration.workbench.serving import Load, deploy, predict
from ansible_collections.openmlops.platform.plugins.module_utils.serving.errors import ModelError

STORY = ROOT / "examples" / "story"


def cells() -> list[str]:
    """Returns the code of the notebook's cells."""
    notebook = json.loads((STORY / "story.ipynb").read_text(encoding="utf-8"))
    return ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]


@pytest.fixture(scope="module")
def token(cluster, gateway):
    return gateway.login(ADA, secret(cluster, "ory", "user-ada-example-org", "password"))


@pytest.fixture
def nothing_left(cluster, gateway, token):
    """Afterwards there is neither model nor flow."""
    yield
    with contextlib.suppress(ModelError):
        deploy(cluster, "story", state="absent")
    found = gateway.ask("/prefect/api/deployments/name/story/story", token=token)
    if found.status_code == 200:
        gateway.ask(f"/prefect/api/deployments/{found.json()['id']}", "DELETE", token=token)


def test_the_notebook_tells_the_story(cluster, gateway, ada, token, nothing_left):
    files = {name: (STORY / name).read_text(encoding="utf-8") for name in ("flow.py", "training.py", "prefect.yaml")}
    begin = f"import os, pathlib\nos.makedirs('/tmp/story', exist_ok=True)\nos.chdir('/tmp/story')\n" \
            f"for name, text in {files!r}.items():\n    pathlib.Path(name).write_text(text)\n"
    code, printed = begin + "\n".join(cells()), []
    worker = threading.Thread(target=lambda: printed.append(ada.run(code, 1500)))
    worker.start()
    url = f"{gateway.url}/models/models/story/v2/models/story/infer"
    # Not zeros: these are the mean of the patients, for which all linear models say the same.
    row, end = [0.05] * 10, time.monotonic() + 900
    while worker.is_alive():  # until the first model answers
        with contextlib.suppress(Exception):
            predict(gateway, token, url, [row])
            break
        assert time.monotonic() < end, "no model after 900 s"
        time.sleep(0.5)
    with Load(gateway, token, url, row, clients=1) as load:
        worker.join(1500)
    assert printed, "the notebook failed: its error is above"
    told = [json.loads(line) for line in printed[0].splitlines() if line.startswith("{")]
    assert load.failures == [] and len(load.answers) > 100, load.failures[:5]
    first, canary, whole, back = told
    assert first["url"] == url and list(first["weights"].values()) == [100] and len(first["predictions"]) == 3
    assert sorted(canary["weights"].values()) == [10, 90] and canary["changed"] is False  # the flow had deployed it so
    assert list(whole["weights"].values()) == [100] and whole["previous"] in first["weights"]
    assert list(back["weights"]) == list(first["weights"])
    assert predict(gateway, token, url, [first["row"]]) == pytest.approx(first["predictions"][:1])
    # Two models answered, at different times.
    assert len({round(value, 6) for value in load.answers}) == 2
    features = gateway.ask("/feast/api/v1/feature_views?project=platform", token=token).json()
    assert "story_features" in json.dumps(features)


@pytest.mark.slow
def test_make_demo(cluster, gateway, variables, nothing_left):
    done = cluster.run("demo", "-e", f"@{variables}").ok()
    for words in ("Features in Feast", "Run and model in MLflow", "without a token: 401", "It answers all of them", "none failed"):
        assert words in done.text, done.text[-4000:]
    assert f"{gateway.url}/prefect/runs/flow-run/" in done.text
    assert secret(cluster, "ory", "machine-demo", "token") not in done.text
    cluster.run("demo", "-e", "platform_demo_state=absent").ok()
