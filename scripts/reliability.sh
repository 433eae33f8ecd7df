#!/usr/bin/env bash
# Runs the programs that measure a promise, and fails when one misses its figure.
#   scripts/reliability.sh [--quick|--full] [--preset NAME] [--json DIRECTORY] [T8 …]     all of the table below; --quick is the default
# --quick takes about a minute each, on the dev preset; --full minutes to an hour each, on the release preset.
set -euo pipefail
cd "$(dirname "$0")/.."

# id  program                quick                                            full
table='
T8    vault_outage           --hubs|10|--seconds|20|--pace|10                 --hubs|1000|--seconds|600
T9    vault_outage_restart   --hubs|10                                        --hubs|1000
T10   revocation_rounds      --rounds|12|--pace|5                             --rounds|20
T10b  vault_mistakes         --pace|5                                         --seed|7
T11   cold_reads             --hubs|200|--hubs-per-vault|20|--reads|10000     --hubs|10000|--reads|10000
T19   backup_cycles          --cycles|10                                      --cycles|100
'

size=quick preset='' reports=''
wanted=()
while [ $# -gt 0 ]; do
  case "$1" in
    --help) sed -n '2,4s/^# //p' "$0"; exit 0 ;;
    --quick | --full) size=${1#--}; shift ;;
    --preset) preset=$2; shift 2 ;;
    --json) reports=$(mkdir -p "$2" && cd "$2" && pwd); shift 2 ;;
    T[0-9]*) wanted+=("$1"); shift ;;
    *) echo "reliability: unknown option $1; see --help" >&2; exit 2 ;;
  esac
done
[ -n "$preset" ] || { [ "$size" = quick ] && preset=dev || preset=release; }

rows=()
while read -r id program quick full; do
  [ -n "$id" ] || continue
  if [ ${#wanted[@]} -gt 0 ] && [[ " ${wanted[*]} " != *" $id "* ]]; then continue; fi
  arguments=$quick
  [ "$size" = quick ] || arguments=$full
  rows+=("$id $program ${arguments//|/ }")
done <<<"$table"
for id in "${wanted[@]}"; do
  [[ "$table" == *$'\n'"$id "* ]] || { echo "reliability: $id is not in the table; see --help" >&2; exit 2; }
done

scripts/install_deps.sh
cmake --preset "$preset" >/dev/null
mapfile -t programs < <(printf '%s\n' "${rows[@]}" | awk '{print $2}')
cmake --build "build/$preset" --target "${programs[@]}"

missed=()
for row in "${rows[@]}"; do
  read -r id program arguments <<<"$row"
  echo "--- $id $program $arguments"
  began=$SECONDS
  # shellcheck disable=SC2086  # several arguments
  "build/$preset/bin/$program" $arguments ${reports:+--json "$reports/$id.json"} || missed+=("$id")
  echo "--- took $((SECONDS - began)) s"
done
[ ${#missed[@]} -eq 0 ] || { echo "missed: ${missed[*]}" >&2; exit 1; }
