#!/usr/bin/env bash
# Both programs are killed with SIGKILL between and during the steps of the quickstart and started again; everything that
# was acknowledged must be there.   kill_and_restart.sh BIN_FOLDER
set -euo pipefail
bin=$1
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
vault_pid= server_pid=
cleanup() { kill -9 $vault_pid $server_pid 2>/dev/null || true; wait 2>/dev/null || true; rm -rf "$work"; }
trap cleanup EXIT
fail() { echo "kill_and_restart: $*" >&2; tail -n 3 "$work"/*.log >&2; exit 1; }

await() { for _ in $(seq 600); do [ ! -s "$1" ] || return 0; sleep 0.05; done; fail "$2 did not start"; }
ready() { jq -r ".$1" "$work/vault/ready.json"; }
vault_port=0 port=0
start_vault() {
  rm -f "$work/vault/ready.json"
  "$bin/cmkdevvault" --state-dir "$work/vault" --port $vault_port >>"$work/vault.log" 2>&1 & vault_pid=$!
  await "$work/vault/ready.json" cmkdevvault
  vault_port=$(ready url | sed 's/.*://')
}
start_server() {
  rm -f "$work/address"
  "$bin/cmkstored" --data-dir "$work/data" --development --listen "127.0.0.1:$port" --ready-file "$work/address" \
    --vault-host "localhost:$vault_port" --vault-ca "$(ready ca_file)" --identity client-secret \
    --authority "$(ready authority)" --identity-tenant "$(ready tenant_id)" --identity-client "$(ready client_id)" \
    --identity-secret-file "$(ready secret_file)" >>"$work/server.log" 2>&1 & server_pid=$!
  await "$work/address" cmkstored
  port=$(sed 's/.*://' "$work/address")
}
kill_server() { kill -9 $server_pid; wait $server_pid 2>/dev/null || true; start_server; }
kill_vault() { kill -9 $vault_pid; wait $vault_pid 2>/dev/null || true; start_vault; }

start_vault
start_server
export HOME=$work CMKSTORE_ENDPOINT=localhost:$port CMKSTORE_CA=$work/data/dev/ca.pem CMKSTORE_CERT=$work/data/dev/client.pem \
  CMKSTORE_KEY=$work/data/dev/client.key CMKSTORE_TOKEN_FILE=$work/data/dev/owner.token
ctl() { "$bin/cmkctl" "$@"; }
vault_call() {
  local token
  token=$(curl -sf --cacert "$(ready ca_file)" "$(ready url)/$(ready tenant_id)/oauth2/v2.0/token" \
    -d grant_type=client_credentials -d "client_id=$(ready client_id)" -d scope=https://vault.azure.net/.default \
    --data-urlencode "client_secret=$(cat "$(ready secret_file)")" | jq -r .access_token)
  curl -sf --cacert "$(ready ca_file)" -H "Authorization: Bearer $token" -H 'Content-Type: application/json' \
    -X "$1" "$(ready url)$2?api-version=7.4" -d "${3:-{\}}"
}
is() { [ "$1" = "$2" ] || fail "$3: expected $1, found $2"; }

vault_call POST /keys/hub-key/create '{"kty":"RSA","key_size":2048}' >/dev/null
kill_vault
uid=$(ctl hub create demo --vault-key "$(ready url)/keys/hub-key" --json | jq -r .uid)
kill_server
is "$uid" "$(ctl hub get demo --json | jq -r .uid)" "the hub"
ctl project create demo/retail >/dev/null
kill_server
is 1 "$(ctl project list demo --json | wc -l)" "the project"

# The server dies in the middle of an import, more than once; the import is run again until it is through.
cp samples/ai_studio.jsonl "$work/documents.jsonl"
for copy in $(seq 2 12); do sed "s/\"id\": \"/&$copy-/" samples/ai_studio.jsonl; done >>"$work/documents.jsonl"
lines=$(wc -l <"$work/documents.jsonl")
complete=no
for pause in 0.05 0.15 0.3; do
  [ $complete = no ] || break
  ctl import demo "$work/documents.jsonl" --project retail --timeout 2s >/dev/null 2>>"$work/import.log" & importing=$!
  sleep "$pause"
  kill -9 $importing 2>/dev/null || true
  kill -9 $server_pid
  wait $importing 2>/dev/null && complete=yes
  wait $server_pid 2>/dev/null || true
  acknowledged=$(jq -r .stored "$work/documents.jsonl.cmkctl-import" 2>/dev/null || echo 0)
  start_server
  found=$(ctl ls demo --json | wc -l)
  [ "$found" -ge "$acknowledged" ] || fail "$acknowledged documents were acknowledged, $found are there"
done
[ $complete = yes ] || ctl import demo "$work/documents.jsonl" --project retail >/dev/null 2>>"$work/import.log"
is "$lines" "$(ctl ls demo --json | wc -l)" "documents after the import"
is 1 "$(ctl ls demo --json | jq -r .revision | sort -u)" "no document was stored twice; revisions"

echo '{"metrics": {"f1": 0.971}}' | ctl put demo/retail/evaluations/nightly >/dev/null
kill_server
is '{"metrics": {"f1": 0.971}}' "$(ctl get demo/retail/evaluations/nightly)" "the put document"
sequence=$(echo '{"metrics": {"f1": 0.98}}' | ctl put demo/retail/evaluations/nightly --json | jq -r .sequence)
kill_server
is 1 "$(ctl search demo 'nightly' --filter 'document = "nightly"' --min-sequence "$sequence" --json | jq -r .totalSize)" "the search"
is PUT "$(ctl watch demo --after "$((sequence - 1))" --count 1 --timeout 10s --json | jq -r .kind)" "the change feed"

vault_call POST /keys/hub-key/rotate >/dev/null
kill_vault
ctl key rotate demo >/dev/null
kill_server
is 2 "$(ctl key status demo --json | jq '.generations | length')" "generations after the rotation"
is '{"metrics": {"f1": 0.98}}' "$(ctl get demo/retail/evaluations/nightly)" "a document of the first generation"

vault_call PATCH /keys/hub-key '{"attributes":{"enabled":false}}' >/dev/null
kill_vault
kill_server
code=0; ctl get demo/retail/evaluations/nightly >/dev/null 2>&1 || code=$?
is 6 "$code" "a read while the key is disabled"
vault_call PATCH /keys/hub-key '{"attributes":{"enabled":true}}' >/dev/null
kill_vault
kill_server
is '{"metrics": {"f1": 0.98}}' "$(ctl get demo/retail/evaluations/nightly)" "a read after the key was enabled"

ctl key lock demo >/dev/null
kill_server
code=0; ctl get demo/retail/evaluations/nightly >/dev/null 2>&1 || code=$?
is 6 "$code" "a read of a locked hub after a restart"
ctl key unlock demo >/dev/null
kill_server
is "$((lines + 1))" "$(ctl ls demo --json | wc -l)" "documents at the end"
echo "nothing acknowledged was lost"
