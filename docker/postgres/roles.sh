#!/bin/sh
# At the first start of an empty database: the role that the program connects with, and one that only reads. Their rights
# come with `throughline migrate`. psql reads the passwords itself: they are in no argument.
set -eu
psql --no-psqlrc --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" <<'SQL'
\set application `cat "${SECRETS:-/run/secrets}/postgres_application"`
\set reader `cat "${SECRETS:-/run/secrets}/postgres_reader"`
CREATE ROLE throughline LOGIN PASSWORD :'application';
CREATE ROLE throughline_reader LOGIN PASSWORD :'reader';
REVOKE ALL ON DATABASE throughline FROM PUBLIC;
GRANT CONNECT ON DATABASE throughline TO throughline, throughline_reader;
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
SQL
