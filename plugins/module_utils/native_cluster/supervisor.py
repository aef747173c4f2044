# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Speaks to the supervisor inside the node, by its Unix socket in the state folder."""

from __future__ import annotations

import http.client
import os
import socket
import xmlrpc.client
from pathlib import Path
from typing import Any


class _Connection(http.client.HTTPConnection):
    """HTTP over a Unix socket. Opened by way of its folder, since the whole path may be longer than 107 characters."""

    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self) -> None:
        folder = os.open(self.path.parent, os.O_PATH | os.O_DIRECTORY)
        try:
            self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.sock.settimeout(self.timeout)
            self.sock.connect(f"/proc/self/fd/{folder}/{self.path.name}")
        finally:
            os.close(folder)


class _Transport(xmlrpc.client.Transport):
    """Sends XML-RPC by a Unix socket."""

    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__()
        self.path = path
        self.timeout = timeout

    def make_connection(self, host: Any) -> http.client.HTTPConnection:
        return _Connection(self.path, self.timeout)


def programs(path: Path, timeout: float = 2.0) -> dict[str, dict[str, Any]]:
    """State of each program, by name (``statename``, ``pid``, ``spawnerr``, ...); empty when nobody answers."""
    try:
        with xmlrpc.client.ServerProxy("http://localhost", transport=_Transport(path, timeout)) as server:
            return {item["name"]: item for item in server.supervisor.getAllProcessInfo()}
    except (OSError, http.client.HTTPException, xmlrpc.client.Error):
        return {}


def start(path: Path, name: str, timeout: float = 5.0) -> None:
    """Start the program *name* without waiting for it; a program that runs already is left alone."""
    try:
        with xmlrpc.client.ServerProxy("http://localhost", transport=_Transport(path, timeout)) as server:
            server.supervisor.startProcess(name, False)
    except (OSError, http.client.HTTPException, xmlrpc.client.Error):
        return


def stop(path: Path, names: list[str], timeout: float = 15.0) -> None:
    """Stop the programs *names*, one after another, and wait for each."""
    try:
        with xmlrpc.client.ServerProxy("http://localhost", transport=_Transport(path, timeout)) as server:
            for name in names:
                try:
                    server.supervisor.stopProcess(name, True)
                except xmlrpc.client.Fault:
                    continue
    except (OSError, http.client.HTTPException, xmlrpc.client.Error):
        return
