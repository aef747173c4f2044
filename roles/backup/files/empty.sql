-- Empties the database, inside the transaction that fills it again.
SET LOCAL lock_timeout = '60s';
SET LOCAL client_min_messages = warning;
DO $$
DECLARE
  space name;
  id oid;
BEGIN
  IF current_setting('server_version_num')::int < 150000 THEN
    RAISE EXCEPTION 'a restore needs PostgreSQL 15 or newer: before, the owner of a database may not make its schema public anew';
  END IF;
  FOR space IN SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema' LOOP
    EXECUTE format('DROP SCHEMA %I CASCADE', space);
  END LOOP;
  FOR id IN SELECT oid FROM pg_largeobject_metadata LOOP
    PERFORM lo_unlink(id);
  END LOOP;
  -- As it is in a new database.
  CREATE SCHEMA public;
  GRANT USAGE ON SCHEMA public TO PUBLIC;
  ALTER SCHEMA public OWNER TO pg_database_owner;
END
$$;
