#!/usr/bin/env bash
# What `env` of a quickstart says works, also where the path has a blank and after the folder was moved.
#   env.sh BIN_FOLDER
set -euo pipefail
cd "$(dirname "$0")/../.."
. scripts/quickstart_checks.sh
. scripts/quickstart_env.sh
dir=$(mktemp -d)
work="$dir/with a blank"
trap 'scripts/quickstart_servers.sh stop "$work" || true; rm -rf "$dir"' EXIT
fail() { echo "env: $*" >&2; exit 1; }
stopped() { [ "$(scripts/quickstart_servers.sh status "$work" | grep -c ': stopped')" = 2 ]; }

ln -s "$1" "$dir/my programs"
mkdir "$work"
scripts/quickstart_servers.sh start "$work" "$dir/my programs"
write_env "$work" "$dir/my programs"
refusal=$(check_none_running "$work" 2>&1) && fail "running servers were not noticed"
eval "${refusal##*first: }" || fail "what the refusal says to run does not run: $refusal"
stopped || fail "they go on after: $refusal"

# shellcheck disable=SC1091
. "$work/env"
$CMKSTORE_START || fail "CMKSTORE_START failed"
cmkctl hub list >/dev/null || fail "cmkctl does not reach the server"
$CMKSTORE_STOP || fail "CMKSTORE_STOP failed"
stopped || fail "servers go on after CMKSTORE_STOP"

touch "$work/kept"
put_kept_data_aside "$work" >/dev/null
work=$(echo "$work"-2*)
# shellcheck disable=SC1091
. "$work/env"
$CMKSTORE_START || fail "CMKSTORE_START failed after the move"
! stopped || fail "no server serves from $work"
cmkctl hub list >/dev/null || fail "cmkctl does not reach the server after the move"
echo "env works"
