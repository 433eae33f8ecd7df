# shellcheck shell=bash
# What a quickstart leaves for its user. Sourced by quickstart.sh and its test.
. scripts/dev_vault.sh

# write_command NAME WORK ARGUMENTS…: the program NAME in WORK/bin, which runs quickstart_servers.sh for its own folder, also
# when that was moved.
write_command() {
  local name=$1 work=$2 verb=$3; shift 3
  mkdir -p "$work/bin"
  {
    echo '#!/usr/bin/env bash'
    # shellcheck disable=SC2016
    printf 'exec %q %q "$(cd "$(dirname "$0")/.." && pwd)"' "$PWD/scripts/quickstart_servers.sh" "$verb"
    [ $# -eq 0 ] || printf ' %q' "$@"
    echo
  } >"$work/bin/$name"
  chmod +x "$work/bin/$name"
}

# write_env WORK PROGRAMS: WORK/env, to be sourced. Servers that serve from WORK must be up.
write_env() {
  local work=$1 bin=$2
  write_command cmkstore-stop "$work" stop
  write_command cmkstore-start "$work" start "$bin"
  cat >"$work/env" <<END
# source this, and cmkctl just works.
export PATH="$work/bin:$bin:\$PATH"
export CMKSTORE_ENDPOINT="localhost:$(sed 's/.*://' "$work/address")"
export CMKSTORE_CA="$work/data/dev/ca.pem"
export CMKSTORE_CERT="$work/data/dev/client.pem"
export CMKSTORE_KEY="$work/data/dev/client.key"
export CMKSTORE_TOKEN_FILE="$work/data/dev/owner.token"
export CMKSTORE_TENANT="$(ready tenant_id)"
# For scripts: where the data is, the vault, and how to stop both servers and start them again with their data and ports.
export CMKSTORE_DATA_DIR="$work/data"
export CMKSTORE_VAULT_URL="$(ready url)"
export CMKSTORE_VAULT_CA="$(ready ca_file)"
export CMKSTORE_STOP=cmkstore-stop
export CMKSTORE_START=cmkstore-start
END
}
