#!/usr/bin/env bash
# The notebook server that a JupyterHub starts, as the user whom the container's environment names.
exec start.sh jupyterhub-singleuser "$@"
