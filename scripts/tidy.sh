#!/usr/bin/env bash
# Runs clang-tidy (.clang-tidy says which checks, and why not others) over the C++ sources.
#   scripts/tidy.sh                    the whole tree
#   scripts/tidy.sh --changed BASE     the sources that differ from that commit, and those of changed headers' names
#   scripts/tidy.sh FILE|FOLDER …      these
set -euo pipefail
cd "$(dirname "$0")/.."

if [ "${1:-}" = --help ]; then sed -n '2,5s/^# //p' "$0"; exit 0; fi
tidy=$(command -v clang-tidy-16) || {
  echo "clang-tidy 16 is missing; install it with: apt-get install --no-install-recommends clang-tidy-16" >&2
  exit 1
}
folders=(base cli crypto keycache search service store tests vault)
if [ "${1:-}" = --changed ]; then
  git rev-parse --quiet --verify "${2:?BASE is missing}^{commit}" >/dev/null || { echo "tidy: $2 is no commit" >&2; exit 2; }
  mapfile -t changed < <(git diff --name-only --diff-filter=d "$2" -- "${folders[@]}" | grep -E '\.(cc|h)$' || true)
  files=()
  for file in "${changed[@]}"; do
    file=${file%.*}.cc # a header is seen through the source of its name
    if [ -f "$file" ]; then files+=("$file"); fi
  done
else
  git ls-files --error-unmatch -- "${@:-${folders[@]}}" >/dev/null
  mapfile -t files < <(git ls-files -- "${@:-${folders[@]}}" | grep '\.cc$')
fi
cmake --preset dev >/dev/null
# Only what a target builds has a compile command; generated headers must be there before anything is parsed.
mapfile -t files < <(printf '%s\n' "${files[@]}" | sort -u |
  jq -Rr --arg root "$PWD/" --slurpfile built build/dev/compile_commands.json \
    'select(($root + .) as $path | any($built[0][].file; . == $path))')
if [ ${#files[@]} -eq 0 ]; then echo "nothing to look at"; exit 0; fi
cmake --build build/dev --target cmkstore_storage_proto cmkstore_config_proto cmkstore_api_proto >/dev/null
echo "${#files[@]} files"
# The warnings of the compiler that builds it, g++, are not clang's business.
printf '%s\0' "${files[@]}" | xargs -0 -n 1 -P "$(nproc)" "$tidy" -p build/dev --quiet --extra-arg=-Wno-everything
