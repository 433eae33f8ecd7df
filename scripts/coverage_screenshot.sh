#!/usr/bin/env bash
# Makes a coverage report of a hub on a local server and looks at it in headless Chromium: what a compliance officer sees.
#   scripts/coverage_screenshot.sh [--preset NAME]     default dev; programs must be built, the browser is installed
# Writes build/artifacts/coverage.html, coverage.png (the whole page on a screen) and coverage.pdf (as it is printed).
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/dev_vault.sh

preset=dev
if [ "${1:-}" = --help ]; then sed -n '2,4s/^# \{0,1\}//p' "$0"; exit 0; fi
if [ "${1:-}" = --preset ]; then preset=$2; fi
bin=$PWD/build/$preset/bin
out=$PWD/build/artifacts
fail() { echo "coverage_screenshot: $*" >&2; exit 1; }
scripts/install_deps.sh --browser
[ -x "$bin/cmkstored" ] || fail "build cmkstored, cmkctl and cmkdevvault first"

work=$(mktemp -d)
finish() {
  scripts/quickstart_servers.sh stop "$work" || true
  rm -rf "$work"
}
trap finish EXIT

scripts/quickstart_servers.sh start "$work" "$bin" || exit 1
vault=$(ready url)
vault_call POST /keys/hub-key/create '{"kty":"RSA","key_size":3072}' >/dev/null
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
