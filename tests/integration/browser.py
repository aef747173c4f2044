# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real browser for tests: Debian's Chromium, driven by Playwright."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import typing as t
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

# No sandbox: tests run as root. The rest keeps the browser from talking to anybody but the platform.
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update",
    "--disable-sync",
]


def chromium() -> str:
    """Returns the path of Chromium; installs Debian's when there is none. Skips the test where that cannot be."""
    found = shutil.which("chromium")
    if found:
        return found
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        pytest.skip("no chromium on PATH, and only root can install Debian's: apt-get install chromium")
    print("  | installing Chromium with apt-get (once; some 300 MB)", flush=True)
    for command in (["update", "-q"], ["install", "-q", "-y", "--no-install-recommends", "chromium", "fonts-dejavu-core"]):
        done = subprocess.run(["apt-get", *command], capture_output=True, text=True, check=False, timeout=900,
                              env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"})
        assert done.returncode == 0, f"apt-get {command[0]}: {done.stderr[-2000:]}"
    return shutil.which("chromium")


@contextlib.contextmanager
def started() -> t.Iterator[Browser]:
    """A running browser."""
    path = chromium()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()


class Visitor:
    """Somebody with a browser of their own: own cookies, nothing cached.

    Attributes:
        page: the open tab.
        refused: what the browser refused by the pages' Content-Security-Policy.
    """

    def __init__(self, browser: Browser, url: str, pictures: Path, **options: t.Any) -> None:
        self.url, self._pictures = url, pictures
        # The authority that signed the certificate is tested elsewhere, by clients that know it.
        self.context: BrowserContext = browser.new_context(ignore_https_errors=True, **options)
        self.context.set_default_timeout(180_000)
        self.page: Page = self.context.new_page()
        self.refused: list[str] = []
        self.page.on("console", lambda message: self.refused.append(message.text) if "Content Security Policy" in message.text else None)

    @property
    def path(self) -> str:
        """Where the tab is, without the platform's address."""
        assert self.page.url.startswith(self.url), self.page.url
        return self.page.url.removeprefix(self.url)

    @property
    def heading(self) -> str:
        """The first heading of the page."""
        return self.page.locator("h1").first.inner_text()

    def open(self, path: str) -> None:
        """Types an address."""
        self.page.goto(self.url + path)

    def press(self, name: str) -> None:
        """Presses a button and waits for what comes."""
        with self.page.expect_navigation():
            self.page.get_by_role("button", name=name, exact=True).click()

    def follow(self, name: str) -> None:
        """Follows a link."""
        with self.page.expect_navigation():
            self.page.get_by_role("link", name=name).click()

    def register(self, email: str, password: str) -> None:
        """Fills in the registration that is shown."""
        self.page.get_by_label("E-mail").fill(email)
        self.page.get_by_label("Password").fill(password)
        self.press("Create account")

    def login(self, email: str, password: str) -> None:
        """Fills in the login that is shown."""
        self.page.get_by_label("E-mail").fill(email)
        self.page.get_by_label("Password").fill(password)
        self.press("Log in")

    def services(self) -> list[str]:
        """The services that the landing page lists."""
        return self.page.locator("a[data-service]").all_inner_texts()

    def picture(self, name: str) -> None:
        """Keeps a picture of the page."""
        self.page.screenshot(path=self._pictures / f"{name}.png")
