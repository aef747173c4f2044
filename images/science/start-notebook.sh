#!/usr/bin/env bash
# The notebook server: a hub's when a hub started it, otherwise JupyterLab alone.
if [ -n "${JUPYTERHUB_API_TOKEN:-}" ]; then
    exec start.sh jupyterhub-singleuser "$@"
fi
exec start.sh jupyter lab --ip=0.0.0.0 "$@"
