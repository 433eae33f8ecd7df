#!/usr/bin/env bash
# Measures cmkstore beside a bare gRPC echo and raw RocksDB in one run, and prints the table of docs/performance.md.
#   scripts/bench.sh [--quick] [--json FILE]     half an hour; --quick: two minutes, with smaller sizes and shorter runs
# Every answer is checked; any error fails the run.
set -euo pipefail
here=$PWD
cd "$(dirname "$0")/.."

arguments=()
while [ $# -gt 0 ]; do
  case "$1" in
    --quick) arguments+=(--quick); shift ;;
    --json)
      [ -n "${2:-}" ] || { echo "bench: --json needs a file" >&2; exit 2; }
      case "$2" in /*) file=$2 ;; *) file=$here/$2 ;; esac
      arguments+=(--json "$file"); shift 2 ;;
    --help) sed -n '2,4s/^# //p' "$0"; exit 0 ;;
    *) echo "bench: unknown option $1; see --help" >&2; exit 2 ;;
  esac
done

scripts/install_deps.sh
cmake --preset release >/dev/null
cmake --build build/release --target cmkbench
# On the disk of the build, since /tmp may be in memory, where nothing is ever synced.
mkdir -p build/bench
TMPDIR=$PWD/build/bench exec build/release/bin/cmkbench --programs build/release/bin "${arguments[@]}"
