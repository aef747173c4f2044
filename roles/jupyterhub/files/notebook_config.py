# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read by each notebook server when it starts (jupyter_server_config.py), in images of any origin."""

import os

from jupyterhub.services.auth import HubAuth

# Tools that ask the system for the user's name (MLflow does) get the person's, not that of the image.
os.environ.setdefault("LOGNAME", os.environ.get("JUPYTERHUB_USER", "jovyan"))

# The dashboard of a Dask cluster of one's own is seen by way of this server, so its owner alone sees it.
_clusters = os.environ.get("DASK_KUBERNETES__NAMESPACE")
if _clusters:
    # Dask puts in what stands in braces; kernels and terminals have the environment of this server.
    os.environ.setdefault("DASK_DISTRIBUTED__DASHBOARD__LINK", "{JUPYTERHUB_SERVICE_PREFIX}proxy/{host}:{port}/status")
    _own = (f".{_clusters}", f".{_clusters}.svc", f".{_clusters}.svc.cluster.local")
    get_config().ServerProxy.host_allowlist = (  # noqa: F821  pylint: disable=undefined-variable
        lambda _handler, host: host in ("localhost", "127.0.0.1") or host.endswith(_own)
    )

_identify = HubAuth._get_user


async def _get_user(self, handler):
    """A cookie of this server counts only for the person who is logged in to the platform now.

    Only the gateway can say who that is (X-User-Email). Without it, or with a token of Jupyter's own, nothing changes.
    """
    user = await _identify(self, handler)
    now = handler.request.headers.get("X-User-Email", "").lower()
    if user and now and not getattr(handler, "_token_authenticated", False) and user.get("name") != now:
        handler._cached_hub_user = user = None
    return user


if os.environ.get("PLATFORM_LOGIN") == "true":
    HubAuth._get_user = _get_user
