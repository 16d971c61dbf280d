# PostgreSQL in an instance: the root is read-only, its data is a volume, its password a secret.
set -eu
volume=/var/lib/shop-db
bin=/usr/lib/postgresql/15/bin

if [ ! -e "$volume/data" ]; then
  # Renamed when it is whole: an instance that is ended meanwhile leaves nothing half-made.
  rm -rf "$volume/new"
  "$bin/initdb" --pgdata="$volume/new" --username=shop --pwfile=/run/secrets/DB_PASSWORD \
    --auth=scram-sha-256 --encoding=UTF8 --no-locale --no-instructions
  echo 'host all all all scram-sha-256' >> "$volume/new/pg_hba.conf"
  mv "$volume/new" "$volume/data"
fi

# SIGINT ends sessions at once and closes the data properly; SIGTERM would wait for clients to leave.
"$bin/postgres" -D "$volume/data" -p "$PORT" -c listen_addresses='*' -c unix_socket_directories=/tmp \
  -c dynamic_shared_memory_type=mmap &
server=$!
trap 'kill -INT "$server"' TERM INT
while kill -0 "$server" 2>/dev/null; do wait "$server" && status=0 || status=$?; done
exit "$status"
