#!/usr/bin/env bash
# Builds cmkstore, starts it beside a local key vault and shows what it is for, on real input.
#   scripts/quickstart.sh           about a minute once built; cleans up after itself
#   scripts/quickstart.sh --keep    leaves both servers running; `source build/quickstart/env` then makes cmkctl just work
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
fail() { echo "quickstart: $*" >&2; exit 1; }

keep=no
case "${1:-}" in
  --keep) keep=yes ;;
  --help) sed -n '2,4s/^# //p' "$0"; exit 0 ;;
  "") ;;
  *) fail "unknown option $1; see --help" ;;
esac

free_mb=$(df -Pm . | awk 'NR==2{print $4}')
[ "$free_mb" -gt 3000 ] || fail "building needs 3 GB of disk, $free_mb MB are free here"
memory_mb=$(awk '/MemAvailable/{print int($2/1024)}' /proc/meminfo)
[ "$memory_mb" -gt 1500 ] || fail "building needs 1.5 GB of memory, $memory_mb MB are available"

say "1. Install what is missing and build (the first time takes minutes, later seconds)"
scripts/install_deps.sh
cmake --preset release >/dev/null
cmake --build build/release --target cmkstored cmkctl cmkdevvault
bin=$PWD/build/release/bin
work=$PWD/build/quickstart
rm -rf "$work"; mkdir -p "$work"

vault_pid= server_pid=
stop() {
  [ -z "$server_pid" ] || kill "$server_pid" 2>/dev/null || true
  [ -z "$vault_pid" ] || kill "$vault_pid" 2>/dev/null || true
  wait 2>/dev/null || true
}
trap '[ $keep = yes ] || stop' EXIT

wait_for() { for _ in $(seq 100); do [ -s "$1" ] && return; sleep 0.1; done; fail "$2 did not start; see $work"; }

say "2. Start a local key vault: HTTPS, real RSA keys, and the answers that Azure Key Vault gives"
"$bin/cmkdevvault" --state-dir "$work/vault" >"$work/vault.log" 2>&1 & vault_pid=$!
wait_for "$work/vault/ready.json" cmkdevvault
ready() { jq -r ".$1" "$work/vault/ready.json"; }
vault=$(ready url)
token=$(curl -sf --cacert "$(ready ca_file)" "$vault/$(ready tenant_id)/oauth2/v2.0/token" \
  -d grant_type=client_credentials -d "client_id=$(ready client_id)" \
  -d scope=https://vault.azure.net/.default --data-urlencode "client_secret=$(cat "$(ready secret_file)")" | jq -r .access_token)
vault_call() { curl -sf --cacert "$(ready ca_file)" -H "Authorization: Bearer $token" -H 'Content-Type: application/json' -X "$1" "$vault$2?api-version=7.4" -d "${3:-{\}}"; }
vault_call POST /keys/hub-key/create '{"kty":"RSA","key_size":3072}' |
  jq '{kid: .key.kid, kty: .key.kty, recovery: .attributes.recoveryLevel}'

say "3. Start cmkstored with mutual TLS; its vault login is a client secret"
"$bin/cmkstored" --data-dir "$work/data" --development --listen 127.0.0.1:0 --ready-file "$work/address" \
  --vault-host "${vault#https://}" --vault-ca "$(ready ca_file)" --identity client-secret \
  --authority "$(ready authority)" --identity-tenant "$(ready tenant_id)" \
  --identity-client "$(ready client_id)" --identity-secret-file "$(ready secret_file)" \
  >"$work/server.log" 2>&1 & server_pid=$!
wait_for "$work/address" cmkstored
cat >"$work/env" <<EOF
export PATH="$bin:\$PATH"
export CMKSTORE_ENDPOINT="localhost:$(sed 's/.*://' "$work/address")"
export CMKSTORE_CA="$work/data/dev/ca.pem"
export CMKSTORE_CERT="$work/data/dev/client.pem"
export CMKSTORE_KEY="$work/data/dev/client.key"
export CMKSTORE_TOKEN_FILE="$work/data/dev/owner.token"
export CMKSTORE_TENANT="$(ready tenant_id)"
export CMKSTORE_DATA_DIR="$work/data"
export CMKSTORE_VAULT_URL="$vault"
# To stop both servers: kill $server_pid $vault_pid
EOF
# shellcheck disable=SC1091
. "$work/env"

say "4. Create a hub under the vault's key, and a project in it"
cmkctl hub create demo --vault-key "$vault/keys/hub-key" --display-name "Demonstration hub"
cmkctl project create demo/retail --display-name "Retail assistant"
cmkctl key check demo

say "5. Import the sample metadata, read one document back, change it while a watch looks on"
cmkctl import demo samples/ai_studio.jsonl --project retail
cmkctl get demo/retail/flows/retail-assistant-000
timeout 3 cmkctl watch demo --from-now >"$work/watch.log" 2>/dev/null &
sleep 1
echo '{"dataset": "retail-golden-1", "metrics": {"f1": 0.971}}' | cmkctl put demo/retail/evaluations/nightly --label team=retail
sleep 1; cat "$work/watch.log"

say "6. Nothing of this is readable on disk"
for text in retail-assistant-000 "answers questions of shop customers" retail-golden-1 "Demonstration hub"; do
  if grep -rqaF "$text" "$work/data"; then fail "found \"$text\" in the data directory"; fi
  echo "not found in $(find "$work/data" -type f | wc -l) files: \"$text\""
done

say "7. The customer disables the key: within 45 seconds the hub goes dark"
vault_call PATCH /keys/hub-key '{"attributes":{"enabled":false}}' >/dev/null
began=$SECONDS
while cmkctl get demo/retail/evaluations/nightly >/dev/null 2>"$work/refusal"; do sleep 0.5; done
cat "$work/refusal"; echo "refused after $((SECONDS - began)) s"
cmkctl hub get demo

say "8. The customer enables it again: everything is back, nothing was lost"
vault_call PATCH /keys/hub-key '{"attributes":{"enabled":true}}' >/dev/null
began=$SECONDS
until cmkctl get demo/retail/evaluations/nightly 2>/dev/null; do sleep 0.5; done
echo "back after $((SECONDS - began)) s; documents: $(cmkctl ls demo/retail | wc -l)"

say "9. A push lock needs no waiting"
cmkctl key lock demo
cmkctl get demo/retail/evaluations/nightly || echo "exit code $?"
cmkctl key unlock demo >/dev/null
cmkctl get demo/retail/evaluations/nightly

if [ $keep = yes ]; then
  say "Both servers stay up. Next: source build/quickstart/env; cmkctl --help"
else
  say "Done. The servers stop now; --keep would leave them running."
fi
