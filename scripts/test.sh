#!/usr/bin/env bash
# Builds everything and runs all tests.
#   scripts/test.sh [--preset NAME] [--slow] [ctest options]     presets: dev (default), release, asan, tsan
set -euo pipefail
cd "$(dirname "$0")/.."

preset=dev
if [ "${1:-}" = --help ]; then sed -n '2,3s/^# //p' "$0"; exit 0; fi
if [ "${1:-}" = --preset ]; then preset=$2; shift 2; fi
exclude=(-LE slow)
if [ "${1:-}" = --slow ]; then exclude=(); shift; fi
scripts/install_deps.sh
cmake --preset "$preset" >/dev/null
cmake --build "build/$preset"
ctest --test-dir "build/$preset" --output-on-failure -j "$(nproc)" "${exclude[@]}" "$@"
