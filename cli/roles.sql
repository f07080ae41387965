-- What each role may do, brought about from any earlier state. Run by the administrator.

-- No one enters the database, and no one makes objects in it, but those named here.
DO $$ BEGIN
    EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
    EXECUTE format(
        'GRANT CONNECT ON DATABASE %I TO solomo_owner, solomo_geo, solomo_member', current_database()
    );
END $$;
REVOKE CREATE ON SCHEMA public FROM PUBLIC;

-- PostGIS lives in public: its types and functions may be used, nothing be made there.
CREATE EXTENSION IF NOT EXISTS postgis SCHEMA public;
GRANT USAGE ON SCHEMA public TO solomo_owner, solomo_geo, solomo_member;

-- An administrator who is no superuser must belong to the owner to make schemas for it.
DO $$ BEGIN
    IF NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
        EXECUTE format('GRANT solomo_owner TO %I', current_user);
    END IF;
END $$;
CREATE SCHEMA IF NOT EXISTS geo AUTHORIZATION solomo_owner;
CREATE SCHEMA IF NOT EXISTS member AUTHORIZATION solomo_owner;
REVOKE ALL ON SCHEMA geo, member FROM PUBLIC;

-- Each service reads and writes the rows of its own schema; the tables are not its to change.
GRANT USAGE ON SCHEMA geo TO solomo_geo;
GRANT USAGE ON SCHEMA member TO solomo_member;
ALTER DEFAULT PRIVILEGES FOR ROLE solomo_owner IN SCHEMA geo
    GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO solomo_geo;
ALTER DEFAULT PRIVILEGES FOR ROLE solomo_owner IN SCHEMA geo
    GRANT USAGE, SELECT ON SEQUENCES TO solomo_geo;
ALTER DEFAULT PRIVILEGES FOR ROLE solomo_owner IN SCHEMA member
    GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO solomo_member;
ALTER DEFAULT PRIVILEGES FOR ROLE solomo_owner IN SCHEMA member
    GRANT USAGE, SELECT ON SEQUENCES TO solomo_member;
