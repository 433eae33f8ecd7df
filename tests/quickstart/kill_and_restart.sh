#!/usr/bin/env bash
# The main job, while both servers are killed with SIGKILL at random moments and started again. Each step is tried until it
# is acknowledged; in the end every document must be there as it was acknowledged last, and nothing else.
#   kill_and_restart.sh BIN_FOLDER [SEED]     a failure prints the seed of its moments
set -euo pipefail
bin=$1 seed=${2:-$RANDOM}
cd "$(dirname "$0")/../.."
. scripts/dev_vault.sh
work=$(mktemp -d)
killer_pid=
cleanup() {
  touch "$work/enough"; wait $killer_pid 2>/dev/null || true
  scripts/quickstart_servers.sh stop "$work" || true
  rm -rf "$work"
}
trap cleanup EXIT
fail() { echo "kill_and_restart, seed $seed: $*" >&2; tail -n 3 "$work"/*.log >&2; exit 1; }

is() { [ "$1" = "$2" ] || fail "$3: expected $1, found $2"; }
servers() { scripts/quickstart_servers.sh "$1" "$work" "$bin"; }

# The killer ends with both servers up.
killer() {
  RANDOM=$seed
  while [ ! -e "$work/enough" ]; do
    sleep "$((RANDOM % 2)).$((RANDOM % 10))"
    kill -9 "$(cat "$work/$([ $((RANDOM % 3)) = 0 ] && echo cmkdevvault || echo cmkstored).pid")"
    servers start
    echo kill >>"$work/kills"
  done
}

# Two starts at once make one of each server, and both say when it serves.
servers start & first=$!
servers start || fail "the second of two starts at once failed"
wait $first || fail "the first of two starts at once failed"
is 1 "$(grep -c 'cmkdevvault serves' "$work/cmkdevvault.log")" "key vaults started"
is 1 "$(grep -c '"event":"serving"' "$work/cmkstored.log")" "servers started"
export HOME=$work CMKSTORE_ENDPOINT CMKSTORE_CA=$work/data/dev/ca.pem CMKSTORE_CERT=$work/data/dev/client.pem \
  CMKSTORE_KEY=$work/data/dev/client.key CMKSTORE_TOKEN_FILE=$work/data/dev/owner.token
CMKSTORE_ENDPOINT=localhost:$(cat "$work/cmkstored.port")
vault=$(ready url)
ctl() { "$bin/cmkctl" --timeout 10s "$@"; }
# again COMMAND…: until it is acknowledged.
again() {
  for _ in $(seq 200); do
    if "$@" >"$work/out" 2>>"$work/steps.log"; then return 0; fi
    sleep 0.1
  done
  fail "never acknowledged: $*"
}
# exits CODE COMMAND…: it ends with that exit code, sooner or later.
exits() {
  local code=0
  "${@:2}" || code=$?
  [ "$code" = "$1" ]
}
# An answer that was lost leaves what was asked for.
create_hub() { ctl hub create demo --vault-key "$vault/keys/hub-key" || ctl hub get demo; }
create_project() { ctl project create demo/retail || ctl project get demo/retail; }
lock() { ctl key lock demo || exits 6 ctl get demo/retail/notes/n1; }
unlock() { ctl key unlock demo || ctl get demo/retail/notes/n1; }

# What is acknowledged, by id; the ledger of which the store is held to in the end.
declare -A acknowledged
put() {
  printf %s "$2" >"$work/content"
  again ctl put "demo/retail/notes/$1" "$work/content"
  acknowledged[$1]=$2
  again ctl get "demo/retail/notes/$1"
  is "$2" "$(cat "$work/out")" "$1 after it was put"
}
remove() {
  again ctl rm "demo/retail/notes/$1" --missing-ok
  unset "acknowledged[$1]"
  again exits 3 ctl get "demo/retail/notes/$1"
}
# some_changes FROM TO: new documents, a new version of every third, and every fifth removed.
some_changes() {
  local i
  for i in $(seq "$1" "$2"); do
    put "n$i" "{\"version\": 1, \"of\": $i}"
    [ $((i % 3)) -ne 0 ] || put "n$i" "{\"version\": 2, \"of\": $i}"
    [ $((i % 5)) -ne 0 ] || remove "n$i"
  done
}

again vault_call POST /keys/hub-key/create '{"kty":"RSA","key_size":2048}'
killer & killer_pid=$!
again create_hub
again create_project
for copy in $(seq 12); do sed "s/\"id\": \"/&$copy-/" samples/ai_studio.jsonl; done >"$work/documents.jsonl"
again ctl import demo "$work/documents.jsonl" --project retail
some_changes 1 12
again vault_call POST /keys/hub-key/rotate
again ctl key rotate demo
some_changes 13 20
again vault_call PATCH /keys/hub-key '{"attributes":{"enabled":false}}'
for _ in 1 2 3; do again exits 6 ctl get demo/retail/notes/n1; done
again vault_call PATCH /keys/hub-key '{"attributes":{"enabled":true}}'
some_changes 21 28
again lock
for _ in 1 2 3; do again exits 6 ctl get demo/retail/notes/n1; done
again unlock
some_changes 29 40

touch "$work/enough"
wait $killer_pid || fail "a server did not start again"
kill -9 "$(cat "$work/cmkstored.pid")" "$(cat "$work/cmkdevvault.pid")"
servers start

{
  jq -Sc '[.collection, .id, .labels, .content]' "$work/documents.jsonl"
  for id in "${!acknowledged[@]}"; do jq -Sc --arg id "$id" '["notes", $id, {}, .]' <<<"${acknowledged[$id]}"; done
} | sort >"$work/expected"
ctl export demo 2>/dev/null | jq -Sc '[.collection, .id, .labels // {}, .content]' | sort >"$work/found"
diff "$work/expected" "$work/found" >"$work/difference" ||
  fail "what was acknowledged (<) and what is there (>) differ: $(head -n 5 "$work/difference")"
last=$(ctl put demo/retail/notes/last --json <<<'{}' | jq -r .sequence)
is "${#acknowledged[@]}" "$(ctl search demo 'version' --filter 'collection = "notes"' --min-sequence "$last" --json | jq -r .totalSize)" \
  "notes that the search finds"
"$bin/cmkctl" watch demo --after 0 --timeout 60s --json >"$work/feed" & watching=$!
for _ in $(seq 600); do
  if grep -q '/notes/documents/last"' "$work/feed"; then break; fi
  sleep 0.1
done
kill $watching
jq -s 'map({(.document.name | split("/") | last): .kind}) | add | del(.last) | to_entries[] | select(.value == "PUT") | .key' -r "$work/feed" |
  grep '^n' | sort >"$work/fed"
diff <(printf '%s\n' "${!acknowledged[@]}" | sort) "$work/fed" >"$work/difference" ||
  fail "the change feed ends otherwise than what was acknowledged: $(head -n 5 "$work/difference")"
echo "$(wc -l <"$work/expected") documents are there as acknowledged, after $(wc -l <"$work/kills") kills (seed $seed)"
