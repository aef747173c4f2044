#!/usr/bin/env bash
# Runs a command as the notebook's user: start.sh COMMAND [ARGUMENT...]. In a container that runs as that user already, nothing
# else happens. As root it makes the user first, from the same variables as Jupyter's own images:
#
#   NB_USER, NB_UID, NB_GID  name and numbers of the user; default jovyan, 1000, 100
#   CHOWN_HOME               yes or 1: the home folder becomes the user's; CHOWN_HOME_OPTS=-R: with what is in it
#   CHOWN_EXTRA              more folders, with commas between them; CHOWN_EXTRA_OPTS
set -euo pipefail

[ $# -gt 0 ] || set -- bash
if [ "$(id -u)" != 0 ]; then
    exec "$@"
fi

name=${NB_USER:-jovyan}
uid=${NB_UID:-1000}
gid=${NB_GID:-100}
if ! [[ $name =~ ^[a-z_][a-z0-9_.-]{0,30}$ && $uid =~ ^[1-9][0-9]*$ && $gid =~ ^[1-9][0-9]*$ ]]; then
    echo "start.sh: NB_USER ($name) must be a Unix name, NB_UID ($uid) and NB_GID ($gid) numbers above 0" >&2
    exit 1
fi
# The home is what is mounted: /home/<name>, or the folder of all users.
home=/home/$name
[ -d "$home" ] || home=/home/jovyan
getent group "$gid" >/dev/null || groupadd --gid "$gid" "$name"
if [ "$name:$uid:$gid" != "$(getent passwd jovyan | cut -d: -f1,3,4)" ]; then
    userdel jovyan 2>/dev/null || true
    useradd --badname --no-log-init --no-create-home --non-unique --home-dir "$home" --uid "$uid" --gid "$gid" --shell /bin/bash "$name"
fi

case ${CHOWN_HOME:-} in
    yes | 1)
        # shellcheck disable=SC2086  # options are a list
        chown ${CHOWN_HOME_OPTS:-} "$uid:$gid" "$home"
        ;;
esac
IFS=, read -ra extra <<<"${CHOWN_EXTRA:-}"
for folder in ${extra[@]+"${extra[@]}"}; do
    # shellcheck disable=SC2086
    chown ${CHOWN_EXTRA_OPTS:-} "$uid:$gid" "$folder"
done

export HOME=$home USER=$name LOGNAME=$name NB_USER=$name NB_UID=$uid NB_GID=$gid
[ "$PWD" != /home/jovyan ] || cd "$home"
# Whoever was root once cannot become it again.
exec setpriv --reuid "$uid" --regid "$gid" --groups "$gid,100" --inh-caps=-all --bounding-set=-all --no-new-privs -- "$@"
