#!/bin/sh
# PostgreSQL takes a key only from a file that nobody else can read, which a mounted secret is not: it gets a copy in memory.
set -eu
install -m 600 /run/secrets/postgres_key /var/run/postgresql/server.key
exec docker-entrypoint.sh postgres \
    -c hba_file=/etc/throughline/pg_hba.conf \
    -c ssl=on -c ssl_min_protocol_version=TLSv1.2 \
    -c ssl_cert_file=/run/secrets/postgres_cert -c ssl_key_file=/var/run/postgresql/server.key \
    -c password_encryption=scram-sha-256 -c max_connections=200
