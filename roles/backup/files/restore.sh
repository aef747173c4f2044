# Restores one database as its owner, in one transaction: it is as before, or as in the backup, whatever happens. PG* say which,
# DATABASE its name here, WORK where the dump is.
set -eu
file=$WORK/$DATABASE.dump
out=/tmp/restore.out
tries=0
until pg_isready --quiet --timeout=3; do
    tries=$((tries + 1))
    [ "$tries" -lt 60 ] || { echo "PostgreSQL at $PGHOST:$PGPORT does not answer" >&2; exit 1; }
    sleep 1
done
# Terse: the context of an error would be a row of the data, which has no place in a log.
run() { psql --no-psqlrc --quiet --tuples-only --no-align --set=ON_ERROR_STOP=1 --set=VERBOSITY=terse --set=SHOW_CONTEXT=never "$@"; }

if pg_restore --list "$file" | grep -q '^[0-9].* BLOBS\{0,1\} '; then
    echo "the dump of $DATABASE holds large objects, which are not supported; the database is as it was" >&2
    exit 1
fi

# Whoever of the application is still connected would hold its tables.
run --command="SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
    WHERE datname = current_database() AND usename = current_user AND pid <> pg_backend_pid()" > /dev/null

# psql meets the end of its input when pg_restore fails: without COMMIT the server takes all back.
{
    echo 'BEGIN;'
    cat /code/empty.sql
    pg_restore --no-owner --no-privileges --no-publications --no-subscriptions --file=- "$file" &&
        printf '%s\n' 'COMMIT;' '\echo committed'
} | run > "$out"
[ "$(tail -n 1 "$out")" = committed ] || { echo "database $DATABASE was not restored; it is as before" >&2; exit 1; }
# The planner knows nothing of new tables.
run --command=ANALYZE > /dev/null 2>&1 || :
echo "database $DATABASE is restored"
