# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The platform as a program outside meets it: by its public address and with a token; and one that asks all the time."""

from __future__ import annotations

import json
import ssl
import threading
import time
import typing as t

try:
    import urllib3
except ImportError:  # pragma: no cover - kube.client tells it
    pass


class DemoError(Exception):
    """The demonstration cannot be shown, or something in it is not as it should be; the message says what and the cure."""


class Client:
    """A program with a token. For several threads at once.

    Args:
        url: the platform's address, without a final slash.
        authorities: certificates in PEM that are trusted beside the system's.
        token: of a person or a machine; empty for nobody's.
    """

    def __init__(self, url: str, authorities: str = "", token: str = "") -> None:
        self.url, self._token = url, token
        context = ssl.create_default_context()
        if authorities:
            context.load_verify_locations(cadata=authorities)
        self._pool = urllib3.PoolManager(maxsize=8, ssl_context=context, retries=False, timeout=urllib3.Timeout(connect=5.0, read=60.0))

    def ask(self, method: str, url: str, body: t.Any = None) -> tuple[int, t.Any]:
        """Sends one request; follows no redirect.

        Args:
            url: an address, or a path of the platform.
            body: sent as JSON.

        Returns:
            Status, and the body: decoded when it is JSON, else text.

        Raises:
            DemoError: without an answer.
        """
        address = url if "://" in url else self.url + url
        headers = {"Accept": "application/json", **({"Authorization": f"Bearer {self._token}"} if self._token else {}),
                   **({"Content-Type": "application/json"} if body is not None else {})}
        try:
            answer = self._pool.request(method, address, body=None if body is None else json.dumps(body).encode(), headers=headers, redirect=False)
        except urllib3.exceptions.HTTPError as error:
            reason = str(getattr(error, "reason", None) or error).split(": ", 1)[-1]
            raise DemoError(f"{address} cannot be asked from here: {reason}") from None
        text = answer.data.decode("utf-8", errors="replace")
        try:
            return answer.status, json.loads(text)
        except ValueError:
            return answer.status, text

    def need(self, method: str, url: str, body: t.Any = None) -> t.Any:
        """Sends one request that must succeed, and returns the answer's body."""
        status, answer = self.ask(method, url, body)
        if status >= 300:
            raise DemoError(f"{method} {url}: HTTP {status}: {str(answer)[:500]}")
        return answer


def question(rows: t.Sequence[t.Sequence[float]]) -> dict[str, t.Any]:
    """Returns a request for predictions in the open inference protocol."""
    values = [value for row in rows for value in row]
    return {"inputs": [{"name": "rows", "shape": [len(rows), len(rows[0])], "datatype": "FP64", "data": values}]}


def predictions(status: int, answer: t.Any) -> list[float]:
    """Returns the predictions of an answer.

    Raises:
        DemoError: when there are none.
    """
    try:
        if status == 200:
            return [float(value) for value in answer["outputs"][0]["data"]]
    except (KeyError, IndexError, TypeError, ValueError):
        pass
    raise DemoError(f"no prediction: HTTP {status}: {str(answer)[:300]}")


class Load:
    """Asks a model all the time, while the block runs.

    Args:
        clients: how many ask at once. pause: seconds of each between an answer and the next request.

    Attributes:
        answers: the first prediction of each answer, in order. failures: everything that was no prediction.
    """

    def __init__(self, client: Client, url: str, row: t.Sequence[float], clients: int = 2, pause: float = 0.02) -> None:
        self.answers: list[float] = []
        self.failures: list[str] = []
        self._client, self._url, self._body, self._pause = client, url, question([row]), pause
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask, daemon=True) for _client in range(clients)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(90)

    def more(self, count: int, seconds: float = 90.0) -> list[float]:
        """Waits for so many more answers and returns them, without those that were under way.

        Raises:
            DemoError: when a request failed, or there are too few in this time.
        """
        begin, end = len(self.answers) + len(self._threads), time.monotonic() + seconds
        while len(self.answers) < begin + count:
            self.check()
            if time.monotonic() > end:
                raise DemoError(f"{max(0, len(self.answers) - begin)} of {count} predictions in {seconds:.0f} s")
            time.sleep(0.05)
        self.check()
        return self.answers[begin:begin + count]

    def check(self) -> None:
        """Raises DemoError when a request failed."""
        if self.failures:
            raise DemoError(f"{len(self.failures)} of {len(self.answers) + len(self.failures)} requests failed: {'; '.join(self.failures[:3])}")

    def _ask(self) -> None:
        while not self._stop.wait(self._pause):
            try:
                self.answers.append(predictions(*self._client.ask("POST", self._url, self._body))[0])
            except DemoError as error:
                self.failures.append(f"{time.strftime('%H:%M:%S')} {error}")


def share(values: t.Sequence[float], expected: float) -> float:
    """Returns which part of the values is what a model predicts."""
    return sum(abs(value - expected) <= 1e-6 * max(1.0, abs(expected)) for value in values) / len(values)
