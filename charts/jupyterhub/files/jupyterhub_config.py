# Copyright: Contributors to the openmlops.platform collection
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hub's configuration out of the chart's values. Run by JupyterHub, which provides `c`."""

import json
import os
import sys
from pathlib import Path

FOLDER = Path("/usr/local/etc/jupyterhub")
# Modules that hub.extraFiles puts there can be named in hub.config.
sys.path.insert(0, str(FOLDER))

values = json.loads((FOLDER / "secret" / "values.json").read_text())
hub, user = values["hub"], values["singleuser"]


def secret(key):
    """Returns a value of the Secret hub.existingSecret."""
    return (FOLDER / "existing-secret" / key).read_text()


def place(section, names, source):
    """Sets traits from values, where these are given: trait -> path in the values."""
    for trait, path in names.items():
        found = source
        for part in path.split("."):
            found = found.get(part) if isinstance(found, dict) else None
        if found is not None:
            setattr(section, trait, found)


# The hub itself.
place(c.JupyterHub, {
    "base_url": "baseUrl",
    "allow_named_servers": "allowNamedServers",
    "named_server_limit_per_user": "namedServerLimitPerUser",
    "concurrent_spawn_limit": "concurrentSpawnLimit",
    "active_server_limit": "activeServerLimit",
    "shutdown_on_logout": "shutdownOnLogout",
}, hub)
c.JupyterHub.spawner_class = "kubespawner.KubeSpawner"
c.JupyterHub.hub_bind_url = "http://:8081"
c.JupyterHub.hub_connect_url = "http://hub:8081"
c.JupyterHub.cookie_secret = bytes.fromhex(secret("hub.config.JupyterHub.cookie_secret"))
c.CryptKeeper.keys = secret("hub.config.CryptKeeper.keys").split(";")
# Servers live on when the hub is started anew.
c.JupyterHub.cleanup_servers = False
c.JupyterHub.tornado_settings = {"slow_spawn_timeout": 0}
c.ConfigurableHTTPProxy.should_start = False
c.ConfigurableHTTPProxy.api_url = "http://proxy-api:8001"

# Services and their rights.
c.JupyterHub.services = [
    {"name": name, **{key: value for key, value in service.items() if key != "apiToken"},
     "api_token": secret(f"hub.services.{name}.apiToken")}
    for name, service in hub["services"].items()
]
c.JupyterHub.load_roles = [{"name": name, **role} for name, role in hub["loadRoles"].items()]
cull = values["cull"]
if cull["enabled"]:
    scopes = ["list:users", "read:users:activity", "read:servers", "delete:servers"]
    c.JupyterHub.services.append({"name": "jupyterhub-idle-culler", "command": [
        sys.executable, "-m", "jupyterhub_idle_culler",
        f"--url=http://localhost:8081{hub['baseUrl'].rstrip('/')}/hub/api",
        f"--timeout={cull['timeout']}", f"--cull-every={cull['every']}", f"--concurrency={cull['concurrency']}",
        f"--max-age={cull['maxAge']}",
        *(["--cull-users"] if cull["users"] else []),
        *([] if cull["adminUsers"] else ["--cull-admin-users=false"]),
        *(["--remove-named-servers"] if cull["removeNamedServers"] else []),
    ]})
    c.JupyterHub.load_roles.append({
        "name": "jupyterhub-idle-culler", "services": ["jupyterhub-idle-culler"],
        "scopes": scopes + (["admin:users"] if cull["users"] else []),
    })

# Servers: pods, by the labels that the network policies know.
spawner = c.KubeSpawner
spawner.namespace = os.environ["POD_NAMESPACE"]
spawner.common_labels = {
    "app": "jupyterhub", "release": values["release"], "app.kubernetes.io/name": "jupyterhub",
    "app.kubernetes.io/instance": values["release"], "app.kubernetes.io/managed-by": "kubespawner",
}
place(spawner, {
    "cmd": "cmd",
    "default_url": "defaultUrl",
    "start_timeout": "startTimeout",
    "image_pull_policy": "image.pullPolicy",
    "uid": "uid",
    "fs_gid": "fsGid",
    "allow_privilege_escalation": "allowPrivilegeEscalation",
    "service_account": "serviceAccountName",
    "events_enabled": "events",
    "cpu_limit": "cpu.limit",
    "cpu_guarantee": "cpu.guarantee",
    "mem_limit": "memory.limit",
    "mem_guarantee": "memory.guarantee",
    "environment": "extraEnv",
    "extra_labels": "extraLabels",
    "extra_annotations": "extraAnnotations",
    "extra_pod_config": "extraPodConfig",
    "tolerations": "extraTolerations",
    "node_selector": "nodeSelector",
    "profile_list": "profileList",
}, user)
spawner.image = f"{user['image']['name']}:{user['image']['tag']}"
spawner.image_pull_secrets = [
    one["name"] if isinstance(one, dict) else one for one in values["imagePullSecrets"] + user["image"]["pullSecrets"]
]

# Volumes by name (a value that is null does not come here: Helm leaves it out), so that a profile can change one of them.
volumes, mounts = {}, {}
storage = user["storage"]
if storage["type"] == "dynamic":
    place(spawner, {
        "storage_class": "dynamic.storageClass",
        "storage_access_modes": "dynamic.storageAccessModes",
        "storage_capacity": "capacity",
        "pvc_name_template": "dynamic.pvcNameTemplate",
    }, storage)
    spawner.storage_pvc_ensure = True
    home, claim, below = storage["dynamic"]["volumeNameTemplate"], "{pvc_name}", storage["dynamic"].get("subPath")
elif storage["type"] == "static":
    home, claim, below = "home", storage["static"]["pvcName"], storage["static"].get("subPath")
if storage["type"] != "none":
    volumes[home] = {"name": home, "persistentVolumeClaim": {"claimName": claim}}
    mounts[home] = {"name": home, "mountPath": storage["homeMountPath"], "subPath": below}
if user["extraFiles"]:
    volumes["files"] = {"name": "files", "secret": {"secretName": "singleuser"}}
for name, file in user["extraFiles"].items():
    mounts[f"file-{name}"] = {"name": "files", "mountPath": file["mountPath"], "subPath": name, "readOnly": True}
for target, more in ((volumes, storage["extraVolumes"]), (mounts, storage["extraVolumeMounts"])):
    target.update(more if isinstance(more, dict) else {f"{entry['name']}-{index}": entry for index, entry in enumerate(more)})
spawner.volumes, spawner.volume_mounts = volumes, mounts

if values["debug"]["enabled"]:
    c.JupyterHub.log_level = "DEBUG"
    c.Spawner.debug = True

# What the user sets comes last.
for section, traits in hub["config"].items():
    c[section].update(traits)
for name in sorted(hub["extraConfig"]):
    exec(compile(hub["extraConfig"][name], f"hub.extraConfig.{name}", "exec"))
