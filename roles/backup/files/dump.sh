# Dumps one database as its owner, as it is at one moment. PG* say which, DATABASE its name here, WORK where to.
set -eu
umask 027
mkdir -p "$WORK"
file=$WORK/$DATABASE
# A network policy takes a moment until it knows a new pod.
tries=0
until pg_isready --quiet --timeout=3; do
    tries=$((tries + 1))
    [ "$tries" -lt 60 ] || { echo "PostgreSQL at $PGHOST:$PGPORT does not answer" >&2; exit 1; }
    sleep 1
done
ask() { psql --no-psqlrc --quiet --tuples-only --no-align --command="$1"; }
ask 'SHOW server_version' > "$file.version"
# pg_restore writes these in a transaction of its own, so that a restore would no longer be all or nothing. No component has any.
[ "$(ask 'SELECT count(*) FROM pg_largeobject_metadata')" = 0 ] ||
    { echo "database $DATABASE has large objects, which are not supported: keep them in the object store" >&2; exit 1; }
pg_dump --format=custom --compress=6 --lock-wait-timeout=60s --file="$file.dump"
# All of it can be read again.
pg_restore --file=/dev/null "$file.dump"
echo "database $DATABASE: $(wc -c < "$file.dump") bytes"
