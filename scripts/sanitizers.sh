#!/usr/bin/env bash
# Builds and runs under the sanitizers the tests that have most to fear: of bytes from outside, and of threads.
#   scripts/sanitizers.sh            cryptography, search, store and vault under the address and undefined-behaviour sanitizers; threads'
#                                    turns, key cache, search and store under the thread sanitizer
#   scripts/sanitizers.sh --quick    without search, without store and vault under the first, and without the tests that do much of
#                                    the same in one thread or in ten thousand hubs
# What is no fault of ours is named with its reason in tests/sanitizers/.
set -euo pipefail
cd "$(dirname "$0")/.."

asan=(crypto_test search_test store_test vault_test)
tsan=(base_test keycache_test search_test store_test)
# A process that is killed or starved tells a sanitizer nothing.
skipped='*Kill*:*Descriptors*'
case "${1:-}" in
  --help) sed -n '2,7s/^# //p' "$0"; exit 0 ;;
  --quick) asan=(crypto_test) tsan=(base_test keycache_test store_test) skipped+=':KeyCacheSimulation.*:VaultHerdTest.*' ;;
  "") ;;
  *) echo "sanitizers.sh: unknown option $1; see --help" >&2; exit 2 ;;
esac
scripts/install_deps.sh

export ASAN_OPTIONS=detect_stack_use_after_return=1:strict_string_checks=1:check_initialization_order=1
export UBSAN_OPTIONS=print_stacktrace=1
export TSAN_OPTIONS=suppressions=$PWD/tests/sanitizers/threads.txt:print_suppressions=0:second_deadlock_stack=1

# check PRESET TEST …
check() {
  local preset=$1 began=$SECONDS test
  shift
  cmake --preset "$preset" >/dev/null
  cmake --build "build/$preset" --target "$@"
  echo "$preset: built in $((SECONDS - began)) s"
  for test in "$@"; do
    began=$SECONDS
    GTEST_BRIEF=1 "$(echo build/"$preset"/tests/*/"$test")" --gtest_filter="-$skipped"
    echo "$preset: $test passed in $((SECONDS - began)) s"
  done
}

check asan "${asan[@]}"
check tsan "${tsan[@]}"
