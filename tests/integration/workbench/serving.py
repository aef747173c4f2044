# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Deployed models as the tests use them: deployed from outside the cluster, asked through the gateway, asked all the time."""

from __future__ import annotations

import json
import threading
import time

import requests

from ansible_collections.openmlops.platform.plugins.module_utils.serving.client import model_deployment


def deploy(cluster, name: str, **options) -> dict:
    """Deploys as the action does: from the controller, by the kubeconfig."""
    return model_deployment(name, kubeconfig=str(cluster.kubeconfig), context=cluster.context, say=lambda line: print(f"  {line}"), **options)


def question(rows: list[list[float]], content_type: str = "") -> dict:
    """Returns a request for predictions in the open inference protocol."""
    data = {"name": "rows", "shape": [len(rows), len(rows[0])], "datatype": "FP64", "data": [value for row in rows for value in row]}
    if content_type:
        return {"parameters": {"content_type": content_type}, "inputs": [{**data, "parameters": {"content_type": content_type}}]}
    return {"inputs": [data]}


def answer(found: requests.Response) -> list[float]:
    """Returns the predictions of an answer."""
    assert found.status_code == 200, f"{found.status_code} {found.text[:500]}"
    return found.json()["outputs"][0]["data"]


def predict(gateway, token: str, url: str, rows: list[list[float]], content_type: str = "") -> list[float]:
    """Asks for predictions through the gateway."""
    with gateway.session(token) as session:
        return answer(session.post(url, json=question(rows, content_type), timeout=30, allow_redirects=False))


class Load:
    """Asks one address all the time, while the block runs.

    Args:
        clients: how many ask at once. pause: seconds of each between an answer and the next request.

    Attributes:
        answers: what came, first prediction by time. failures: everything that was no prediction.
    """

    def __init__(self, gateway, token: str, url: str, row: list[float], clients: int = 2, pause: float = 0.02) -> None:
        self.answers: list[float] = []
        self.failures: list[str] = []
        self._gateway, self._token, self._url, self._body, self._pause = gateway, token, url, json.dumps(question([row])), pause
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask, daemon=True) for _client in range(clients)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(60)

    def more(self, count: int, seconds: float = 60) -> list[float]:
        """Waits for so many more answers and returns them."""
        begin, end = len(self.answers), time.monotonic() + seconds
        while len(self.answers) < begin + count and not self.failures:
            assert time.monotonic() < end, f"{len(self.answers) - begin} answers in {seconds} s"
            time.sleep(0.05)
        assert not self.failures, self.failures[:5]
        return self.answers[begin:begin + count]

    def _ask(self) -> None:
        with self._gateway.session(self._token) as session:
            while not self._stop.wait(self._pause):
                try:
                    found = session.post(self._url, data=self._body, headers={"Content-Type": "application/json"}, timeout=30, allow_redirects=False)
                    self.answers.append(answer(found)[0])
                except (requests.RequestException, AssertionError, ValueError, KeyError) as error:
                    self.failures.append(f"{time.strftime('%H:%M:%S')} {type(error).__name__} {error}"[:600])
