#!/usr/bin/env bash
# Makes a coverage report of a hub on a local server and looks at it in headless Chromium: what a compliance officer sees.
#   scripts/coverage_screenshot.sh [--preset NAME]     default dev; programs must be built, the browser is installed
# Writes build/artifacts/coverage.html, coverage.png (the whole page on a screen) and coverage.pdf (as it is printed).
set -euo pipefail
cd "$(dirname "$0")/.."

preset=dev
if [ "${1:-}" = --help ]; then sed -n '2,4s/^# \{0,1\}//p' "$0"; exit 0; fi
if [ "${1:-}" = --preset ]; then preset=$2; fi
bin=$PWD/build/$preset/bin
out=$PWD/build/artifacts
fail() { echo "coverage_screenshot: $*" >&2; exit 1; }
scripts/install_deps.sh --browser
[ -x "$bin/cmkstored" ] || fail "build cmkstored, cmkctl and cmkdevvault first"

work=$(mktemp -d)
pids=()
finish() {
  [ ${#pids[@]} -eq 0 ] || kill "${pids[@]}" 2>/dev/null || true
  wait 2>/dev/null || true
  rm -rf "$work"
}
trap finish EXIT

# start READY_FILE PROGRAM ARGUMENTS…
start() {
  local ready=$1 program=$2; shift 2
  "$bin/$program" "$@" >"$work/$program.log" 2>&1 &
  pids+=($!)
  for _ in $(seq 300); do
    [ ! -s "$ready" ] || return 0
    sleep 0.1
  done
  fail "$program did not start: $(tail -n 1 "$work/$program.log")"
}
start "$work/vault/ready.json" cmkdevvault --state-dir "$work/vault" --port 0
ready() { jq -r ".$1" "$work/vault/ready.json"; }
vault=$(ready url)
token=$(curl -sf --cacert "$(ready ca_file)" "$vault/$(ready tenant_id)/oauth2/v2.0/token" \
  -d grant_type=client_credentials -d "client_id=$(ready client_id)" \
  -d scope=https://vault.azure.net/.default --data-urlencode "client_secret=$(cat "$(ready secret_file)")" | jq -r .access_token)
curl -sf --cacert "$(ready ca_file)" -H "Authorization: Bearer $token" -H 'Content-Type: application/json' \
  -X POST "$vault/keys/hub-key/create?api-version=7.4" -d '{"kty":"RSA","key_size":3072}' >/dev/null
start "$work/address" cmkstored --data-dir "$work/data" --development --listen 127.0.0.1:0 \
  --ready-file "$work/address" --vault-host "${vault#https://}" --vault-ca "$(ready ca_file)" \
  --identity client-secret --authority "$(ready authority)" --identity-tenant "$(ready tenant_id)" \
  --identity-client "$(ready client_id)" --identity-secret-file "$(ready secret_file)"
ctl() {
  "$bin/cmkctl" --endpoint "localhost:$(sed 's/.*://' "$work/address")" --ca "$work/data/dev/ca.pem" \
    --cert "$work/data/dev/client.pem" --key "$work/data/dev/client.key" --token-file "$work/data/dev/owner.token" "$@"
}
ctl hub create retail-eu --vault-key "$vault/keys/hub-key" --display-name 'Retail & "Claims" <EU>' >/dev/null
ctl key rotate retail-eu >/dev/null
mkdir -p "$out"
ctl coverage retail-eu --html "$out/coverage.html"

browser=(chromium --headless --no-sandbox --disable-gpu --hide-scrollbars --user-data-dir="$work/browser")
"${browser[@]}" --window-size=1100,4000 --screenshot="$out/coverage.png" "file://$out/coverage.html" 2>"$work/browser.log" ||
  fail "$(tail -n 3 "$work/browser.log")"
"${browser[@]}" --no-pdf-header-footer --print-to-pdf="$out/coverage.pdf" "file://$out/coverage.html" 2>"$work/browser.log" ||
  fail "$(tail -n 3 "$work/browser.log")"
for file in coverage.png coverage.pdf; do
  [ "$(stat -c %s "$out/$file")" -gt 20000 ] || fail "$file is too small to be the page"
  echo "$out/$file"
done
