# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Deployed models as the tests use them: deployed from outside the cluster, asked through the gateway, asked all the time."""

from __future__ import annotations

from ansible_collections.openmlops.platform.plugins.module_utils.demo import asking
from ansible_collections.openmlops.platform.plugins.module_utils.serving.client import model_deployment


def deploy(cluster, name: str, **options) -> dict:
    """Deploys as the action does: from the controller, by the kubeconfig."""
    return model_deployment(name, kubeconfig=str(cluster.kubeconfig), context=cluster.context, say=lambda line: print(f"  {line}"), **options)


def client(gateway, token: str = "") -> asking.Client:
    """Returns a program that asks the platform."""
    return asking.Client(gateway.url, gateway.ca.read_text(), token)


def predict(gateway, token: str, url: str, rows: list[list[float]], content_type: str = "") -> list[float]:
    """Asks for predictions through the gateway."""
    body = asking.question(rows)
    if content_type:
        body = {"parameters": {"content_type": content_type}, "inputs": [{**entry, "parameters": {"content_type": content_type}} for entry in body["inputs"]]}
    return asking.predictions(*client(gateway, token).ask("POST", url, body))


class Load(asking.Load):
    """Asks one model all the time, while the block runs."""

    def __init__(self, gateway, token: str, url: str, row: list[float], **options) -> None:
        super().__init__(client(gateway, token), url, row, **options)
