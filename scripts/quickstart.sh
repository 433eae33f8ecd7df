#!/usr/bin/env bash
# Builds cmkstore, starts it beside a local key vault and shows what it is for, on real input.
#
#   scripts/quickstart.sh            the first time builds for minutes, later only what changed; cleans up after itself
#     --keep                         leaves both servers running; then `source build/quickstart/env` and cmkctl just works,
#                                    and $CMKSTORE_STOP and $CMKSTORE_START stop and start them with their data
#     --port N, --vault-port N       ports of server and vault; default: any free one
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/quickstart_checks.sh
. scripts/quickstart_env.sh

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }

keep=no port=0 vault_port=0
while [ $# -gt 0 ]; do
  case "$1" in
    --keep) keep=yes ;;
    --port) [ $# -gt 1 ] || fail "--port needs a number"; port=$2; shift ;;
    --vault-port) [ $# -gt 1 ] || fail "--vault-port needs a number"; vault_port=$2; shift ;;
    --help|-h) sed -n '2,7s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) fail "unknown option $1; --help shows those there are" ;;
  esac
  shift
done

work=$PWD/build/quickstart
check_port --port "$port"
check_port --vault-port "$vault_port"
check_two_ports "$port" "$vault_port"
check_system /etc/os-release
check_folder "$PWD/build/release"
check_folder "$work"
check_room disk 3000 "$(df -Pm . | awk 'NR==2{print $4}')"
check_room memory 1500 "$(awk '/MemAvailable/{print int($2/1024)}' /proc/meminfo)"
check_none_running "$work"

# A call that must be refused for just this reason; prints the refusal.
refused() {
  local reason=$1 code=0
  shift
  "$@" >"$work/answer" 2>"$work/refusal" || code=$?
  cat "$work/answer" "$work/refusal"
  if [ $code -ne 6 ] || ! grep -qF "[$reason]" "$work/refusal"; then
    fail "$* ended with exit code $code and not with $reason"
  fi
}

say "1. Install what is missing and build (the first time takes minutes, later seconds)"
scripts/install_deps.sh || fail "the packages above could not be installed"
cmake --preset release >/dev/null
cmake --build build/release --target cmkstored cmkctl cmkdevvault || fail "the build failed; see above"
bin=$PWD/build/release/bin
put_kept_data_aside "$work"
rm -rf "$work"; mkdir -p "$work"
echo "$vault_port" >"$work/cmkdevvault.port"; echo "$port" >"$work/cmkstored.port"

complete=no
finish() {
  if [ $keep = yes ] && [ $complete = yes ]; then return; fi
  scripts/quickstart_servers.sh stop "$work"
  if [ $complete = yes ]; then rm -rf "$work"; fi
}
trap finish EXIT

say "2. Start a local key vault with HTTPS, real RSA keys and the answers that Azure Key Vault gives, and cmkstored with
   mutual TLS, which logs in to the vault with a client secret"
scripts/quickstart_servers.sh start "$work" "$bin" || exit 1
scripts/quickstart_servers.sh status "$work"
vault=$(ready url)

say "3. The customer makes a key in the vault. It can be recovered and not be purged, else no hub would take it"
vault_call POST /keys/hub-key/create '{"kty":"RSA","key_size":3072}' |
  jq -c '{kid: .key.kid, kty: .key.kty, recoveryLevel: .attributes.recoveryLevel}'

write_env "$work" "$bin"
# shellcheck disable=SC1091
. "$work/env"
cmkctl status

say "4. Create a hub under the customer's key, and two projects in it"
cmkctl hub create demo --vault-key "$vault/keys/hub-key" --display-name "Demonstration hub" >/dev/null
cmkctl project create demo/retail --display-name "Retail assistant" >/dev/null
cmkctl project create demo/claims --display-name "Claims triage" >/dev/null
cmkctl hub list
cmkctl project list demo
echo "What the hub needs of the key, each tried:"
cmkctl key check demo

say "5. Import metadata of flows, deployments, evaluations and indexes; read some of it"
cmkctl import demo samples/ai_studio.jsonl --project retail
grep '"team": "claims"' samples/ai_studio.jsonl | cmkctl import demo - --project claims
cmkctl get demo/retail/flows/retail-assistant-000; echo

say "6. Change a document while a watch looks on"
at=$(cmkctl put demo/retail/evaluations/nightly --label team=retail --json <<<'{"dataset": "retail-golden-1"}' | jq -r .sequence)
cmkctl watch demo --after "$at" --count 1 --timeout 20s >"$work/watch.log" &
watching=$!
at=$(cmkctl put demo/retail/evaluations/nightly --label team=retail --json \
  <<<'{"dataset": "retail-golden-1", "metrics": {"f1": 0.971}, "verdict": "better for shop customers"}' | jq -r .sequence)
wait $watching
cat "$work/watch.log"

say "7. Search the hub's own index, which is sealed under the same key"
cmkctl search demo 'shop customers' --facet labels.team --facet collection --page-size 3 --min-sequence "$at"

say "8. Nothing of this is readable on disk"
for text in retail-assistant-000 "answers questions of shop customers" retail-golden-1 "Demonstration hub"; do
  if grep -rqaF "$text" "$work/data"; then fail "found \"$text\" in the data directory"; fi
  echo "not found in $(find "$work/data" -type f | wc -l) files: \"$text\""
done

say "9. The customer disables the key: within 45 seconds the hub goes dark"
vault_call PATCH /keys/hub-key '{"attributes":{"enabled":false}}' >/dev/null
began=$SECONDS
while cmkctl get demo/retail/evaluations/nightly >/dev/null 2>&1; do
  [ $((SECONDS - began)) -le 45 ] || fail "45 seconds after the key was disabled the content is still served"
  sleep 0.2
done
echo "refused after $((SECONDS - began)) s:"
refused CUSTOMER_KEY_REVOKED cmkctl get demo/retail/evaluations/nightly
echo "The index is closed, too:"
refused CUSTOMER_KEY_REVOKED cmkctl search demo 'shop customers'
cmkctl hub list

say "10. The customer enables it again: everything is back, nothing was lost"
vault_call PATCH /keys/hub-key '{"attributes":{"enabled":true}}' >/dev/null
began=$SECONDS
until cmkctl get demo/retail/evaluations/nightly 2>/dev/null; do
  [ $((SECONDS - began)) -lt 60 ] || fail "a minute after the key was enabled the content is still refused"
  sleep 0.2
done
echo "back after $((SECONDS - began)) s; documents: $(cmkctl ls demo --json | wc -l)"

say "11. Rotate: a new version of the vault key, a new data key under it, and no document rewritten"
census() { cmkctl ls demo --json | jq -c '[.name, .revision, .etag, .envelope.dekId]' | sort; }
census >"$work/before"
vault_call POST /keys/hub-key/rotate | jq -c '{newVersion: .key.kid}'
cmkctl key rotate demo
census >"$work/after"
cmp "$work/before" "$work/after" || fail "a document changed"
echo "$(wc -l <"$work/after") documents are as they were: same revisions, same etags, same data key"
cmkctl put demo/retail/evaluations/after-rotation <<<'{"metrics": {"f1": 0.98}}'
echo "documents by data key:"
census | jq -r '.[3]' | sort | uniq -c
cmkctl key status demo

say "12. A push lock needs no waiting"
cmkctl key lock demo >/dev/null
refused HUB_LOCKED cmkctl get demo/retail/evaluations/nightly
cmkctl key unlock demo >/dev/null
cmkctl get demo/retail/evaluations/nightly

complete=yes
if [ $keep = yes ]; then
  touch "$work/kept"
  say "Both servers stay up. Next: source build/quickstart/env; cmkctl --help; to stop them: \$CMKSTORE_STOP"
else
  say "Done. Both servers stop and their data is removed; --keep would leave them running."
fi
