#!/usr/bin/env bash
# Builds the fuzz targets with clang and runs each from its seeds for some seconds. Any finding fails the run; its input is
# left in build/fuzz/findings/.
#   scripts/fuzz.sh [--seconds N] [TARGET …]     60 seconds each, all targets
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=60
case "${1:-}" in
  --help) sed -n '2,4s/^# //p' "$0"; exit 0 ;;
  --seconds) seconds=$2; shift 2 ;;
esac
scripts/install_deps.sh --fuzz
cmake --preset fuzz >/dev/null
cmake --build build/fuzz --target cmkstore_fuzz

targets=("$@")
if [ ${#targets[@]} -eq 0 ]; then mapfile -t targets < <(ls tests/fuzz/corpus); fi
for target in "${targets[@]}"; do
  found=build/fuzz/corpus/$target
  findings=build/fuzz/findings/$target
  mkdir -p "$found" "$findings"
  # New inputs go to the first directory; the seeds of the repository are only read.
  if ! CMKSTORE_FUZZ_TARGET=$target build/fuzz/bin/cmkstore_fuzz -max_total_time="$seconds" -max_len=4096 -rss_limit_mb=2048 -timeout=10 \
    -artifact_prefix="$findings/" "$found" "tests/fuzz/corpus/$target" 2>"$findings/log"; then
    tail -40 "$findings/log"
    echo "$target: a finding, see $findings" >&2
    exit 1
  fi
  echo "$target: $(grep -o 'Done.*' "$findings/log")"
done
