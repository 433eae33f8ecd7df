#!/usr/bin/env bash
# Measures what hubs and documents cost in memory and on disk, for docs/sizing.md: a real server, a local vault, cmkctl.
#   scripts/measure_sizes.sh [--hubs N] [--documents N] [--size BYTES]     default 1000, 100000, 1024; ten minutes
#     --bin DIR                                                             default build/release/bin
set -euo pipefail
cd "$(dirname "$0")/.."
[ "${1:-}" != --help ] || { sed -n '2,4s/^# //p' "$0"; exit 0; }
exec python3 tests/operations/sizes.py --bin build/release/bin "$@"
