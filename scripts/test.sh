#!/usr/bin/env bash
# Builds everything and runs all tests.
#   scripts/test.sh [--preset NAME] [--slow] [ctest options]     presets: dev (default), release, asan, tsan
set -euo pipefail
cd "$(dirname "$0")/.."

preset=dev exclude=(-LE slow) options=()
while [ $# -gt 0 ]; do
  case "$1" in
    --help) sed -n '2,3s/^# //p' "$0"; exit 0 ;;
    --preset) preset=${2:?--preset needs a name}; shift ;;
    --slow) exclude=() ;;
    *) options+=("$1") ;;
  esac
  shift
done
scripts/install_deps.sh
cmake --preset "$preset" >/dev/null
cmake --build "build/$preset"
# One more than there are processors: many tests wait, for a disk or for a clock.
ctest --test-dir "build/$preset" --no-tests=error --output-on-failure -j "$(($(nproc) + 1))" "${exclude[@]}" "${options[@]}"
