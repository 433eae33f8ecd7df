#!/usr/bin/env bash
# Runs the official Azure SDK for Python against cmkdevvault: every way to log in, every call, its errors and retries.
#   scripts/test_azure_sdk.sh [--preset NAME] [pytest options]     presets: dev (default), release
# Builds cmkdevvault if need be and keeps the SDK in build/azure_sdk_venv.
set -euo pipefail
cd "$(dirname "$0")/.."

preset=dev
if [ "${1:-}" = --help ]; then sed -n '2,4s/^# //p' "$0"; exit 0; fi
if [ "${1:-}" = --preset ]; then preset=$2; shift 2; fi
scripts/install_deps.sh
[ -f "build/$preset/build.ninja" ] || cmake --preset "$preset" >/dev/null
cmake --build "build/$preset" --target cmkdevvault

# A venv of other pins, or one that broke half way, is made anew.
venv=build/azure_sdk_venv
pins=tests/azure_sdk/requirements.txt
if ! cmp -s "$pins" "$venv/installed.txt"; then
  rm -rf "$venv"
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check --retries 5 --requirement "$pins"
  cp "$pins" "$venv/installed.txt"
fi
export CMKDEVVAULT="$PWD/build/$preset/bin/cmkdevvault"
exec "$venv/bin/python" -m pytest -q -p no:cacheprovider tests/azure_sdk/azure_sdk_test.py "$@"
