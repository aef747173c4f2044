# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings of this machine for apt and pip, handed to image builds and never left in an image.

A machine may reach packages only through a mirror, a proxy or with its own certificate authority. Its settings are
written to a folder that is mounted at MOUNT while an image is built; the Containerfiles name the files there by the
build arguments APT_CONFIG and PIP_CONFIG_FILE, which default to nothing.
"""

from __future__ import annotations

import configparser
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from ansible_collections.openmlops.platform.plugins.module_utils.build.errors import BuildError
from ansible_collections.openmlops.platform.plugins.module_utils.build.process import find_program

# An empty folder of every Debian image, so that the mount leaves nothing behind.
MOUNT = "/mnt"
SYSTEM_CA = Path("/etc/ssl/certs/ca-certificates.crt")
# Only what says how packages are reached. Settings such as `user` or `require-virtualenv` would break the build.
PIP_KEYS = (
    "index-url",
    "extra-index-url",
    "find-links",
    "no-index",
    "trusted-host",
    "proxy",
    "timeout",
    "retries",
    "cert",
)


def pip_files(environ: Mapping[str, str]) -> list[Path]:
    """Configuration files that pip reads, least important first."""
    home = Path(environ.get("HOME", "/root"))
    config = Path(environ.get("XDG_CONFIG_HOME") or home / ".config")
    files = [Path("/etc/xdg/pip/pip.conf"), Path("/etc/pip.conf"), home / ".pip/pip.conf", config / "pip/pip.conf"]
    if environ.get("PIP_CONFIG_FILE"):
        files.append(Path(environ["PIP_CONFIG_FILE"]))
    return files


def pip_settings(environ: Mapping[str, str], files: list[Path] | None = None) -> dict[str, str]:
    """How pip reaches packages on this machine: its configuration files, then its environment variables."""
    settings: dict[str, str] = {}
    for path in pip_files(environ) if files is None else files:
        parser = configparser.RawConfigParser()
        try:
            parser.read(path)
        except configparser.Error:
            continue
        for section in ("global", "install"):
            if parser.has_section(section):
                settings.update({key.replace("_", "-"): value for key, value in parser.items(section)})
    settings.update(
        {key[4:].lower().replace("_", "-"): value for key, value in environ.items() if key.startswith("PIP_") and value}
    )
    if "default-timeout" in settings:
        settings.setdefault("timeout", settings["default-timeout"])
    return {key: settings[key] for key in PIP_KEYS if key in settings}


def authority(environ: Mapping[str, str], settings: Mapping[str, str]) -> Path | None:
    """The bundle of certificate authorities that this machine trusts, or None."""
    candidates = [settings.get("cert"), *(environ.get(key) for key in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"))]
    for candidate in [*candidates, str(SYSTEM_CA)]:
        if candidate and Path(candidate).is_file():
            return Path(candidate)
    return None


def write(folder: Path, environ: Mapping[str, str] | None = None) -> list[str]:
    """Write the settings into *folder*.

    Args:
        folder: a fresh folder that only we can read; settings may hold passwords.
        environ: where settings are looked for; ours by default.

    Returns:
        Further mounts (``source:target:ro``) that the settings refer to: local folders of wheels.
    """
    env = os.environ if environ is None else environ
    pip = pip_settings(env)
    bundle = authority(env, pip)
    if bundle:
        shutil.copyfile(bundle, folder / "ca.pem")
        pip["cert"] = f"{MOUNT}/ca.pem"
    else:
        pip.pop("cert", None)
    mounts = []
    links = []
    for number, link in enumerate(pip.pop("find-links", "").split()):
        if "://" not in link and Path(link).is_dir():
            mounts.append(f"{Path(link).absolute()}:{MOUNT}/wheels{number}:ro")
            (folder / f"wheels{number}").mkdir()
            link = f"{MOUNT}/wheels{number}"
        links.append(link)
    if links:
        pip["find-links"] = "\n  ".join(links)
    lines = [f"{key} = {value}" for key, value in sorted(pip.items())]
    (folder / "pip.conf").write_text("\n".join(["[global]", *lines, ""]))
    (folder / "apt.conf").write_text(_apt(bundle is not None))
    return mounts


def _apt(bundle: bool) -> str:
    """This machine's ways to the package mirror, as a configuration file of apt."""
    lines = ['Acquire::Retries "3";']
    if bundle:
        lines.append(f'Acquire::https::CAInfo "{MOUNT}/ca.pem";')
    program = find_program("apt-config")
    if program:
        dump = _output(program, "dump")
        for line in dump.splitlines():
            key = line.split(" ", 1)[0].lower()
            if key.startswith(("acquire::http::proxy", "acquire::https::proxy", "acquire::check-valid-until")):
                lines.append(line)
    return "\n".join([*lines, ""])


def apt_sources(codename: str) -> list[tuple[str, str, str]]:
    """The mirrors of the distribution that apt is configured with.

    Args:
        codename: the distribution's code name.

    Returns:
        (address, suite, components) for the suite itself, which comes first, and its updates.

    Raises:
        BuildError: apt is not there or knows no mirror of the suite.
    """
    program = find_program("apt-get")
    if not program or not codename:
        raise BuildError("image/base: this machine is no Debian or relative of it, whose apt names the mirror to use")
    listing = _output(
        program, "indextargets", "--format", "$(REPO_URI)|$(RELEASE)|$(COMPONENT)", "Created-By: Packages"
    )
    found: dict[tuple[str, str], list[str]] = {}
    for line in listing.splitlines():
        address, release, component = line.split("|")
        if release == codename or release.startswith(f"{codename}-") and not release.endswith("-backports"):
            components = found.setdefault((address, release), [])
            if component not in components:
                components.append(component)
    sources = [(address, release, " ".join(parts)) for (address, release), parts in found.items()]
    sources.sort(key=lambda source: source[1] != codename)
    if not sources or sources[0][1] != codename:
        raise BuildError(f"image/base: apt on this machine is configured with no mirror of {codename}")
    return sources


def _output(*argv: str) -> str:
    """What a short program prints; a failure is an empty answer, which the caller explains better than the program."""
    # It runs on the controller, where there is no module whose run_command could be called.
    done = subprocess.run(argv, capture_output=True, text=True, check=False)  # pylint: disable=ansible-bad-function
    return done.stdout
