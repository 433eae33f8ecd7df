#!/usr/bin/env bash
# Measures cmkstore beside what a user would build instead, in one run: sealed documents in PostgreSQL with keys of OpenBao.
#   scripts/bench_rival.sh --rival PROGRAM --bao PROGRAM [--rounds N] [--json FILE]     13 minutes with 3 rounds
# --rival is the built client program (Go), --bao the OpenBao server; PostgreSQL 15 comes from Debian and runs as its own user.
# Each round measures the rival, then scripts/bench.sh --quick; the figures are medians over rounds. Any error fails the run.
set -euo pipefail
here=$PWD
cd "$(dirname "$0")/.."

fail() { echo "bench_rival: $1" >&2; exit 2; }
absolute() { case "$1" in /*) echo "$1" ;; *) echo "$here/$1" ;; esac; }
rival='' bao='' rounds=3 json=''
while [ $# -gt 0 ]; do
  case "$1" in
    --help) sed -n '2,5s/^# //p' "$0"; exit 0 ;;
    --rival) rival=$(absolute "${2:?--rival needs a program}"); shift 2 ;;
    --bao) bao=$(absolute "${2:?--bao needs a program}"); shift 2 ;;
    --rounds) rounds=${2:?--rounds needs a number}; shift 2 ;;
    --json) json=$(absolute "${2:?--json needs a file}"); shift 2 ;;
    *) fail "unknown option $1; see --help" ;;
  esac
done
[ -x "$rival" ] || fail "no program at --rival '$rival'; see --help"
[ -x "$bao" ] || fail "no program at --bao '$bao'; see --help"
postgres=/usr/lib/postgresql/15/bin
[ -x $postgres/initdb ] || fail "no PostgreSQL 15; try apt-get install postgresql-15"
[ "$(id -u)" = 0 ] || fail "must run as root, to run PostgreSQL as its own user"

# On the disk of the build, as cmkbench has its files.
mkdir -p build/bench
work=$(mktemp -d build/bench/rival.XXXXXX)
work=$PWD/$work
as_postgres() { (cd / && runuser -u postgres -- "$@"); }
cleanup() {
  as_postgres $postgres/pg_ctl -D "$work/pg" -m immediate stop >/dev/null 2>&1 || true
  [ -z "${bao_pid:-}" ] || kill "$bao_pid" 2>/dev/null || true
  rm -rf "$work"
}
trap cleanup EXIT
chown postgres "$work"
as_postgres test -w "$work" || fail "the user postgres cannot reach $work; its folders must let others pass"

as_postgres $postgres/initdb -D "$work/pg" -A trust -U postgres >"$work/initdb.log"
as_postgres $postgres/pg_ctl -D "$work/pg" -l "$work/pg.log" -w start -o "-p 15432 -h 127.0.0.1 -k $work \
  -c synchronous_commit=on -c fsync=on -c shared_buffers=512MB -c max_wal_size=4GB -c max_connections=150" >/dev/null
"$bao" server -dev -dev-root-token-id=root -dev-no-store-token -dev-listen-address=127.0.0.1:18200 >"$work/bao.log" 2>&1 &
bao_pid=$!
curl -sf --retry 30 --retry-delay 1 --retry-connrefused -o /dev/null http://127.0.0.1:18200/v1/sys/health

for round in $(seq "$rounds"); do
  echo "round $round of $rounds" >&2
  "$rival" -rounds 1 -json "$work/rival.$round.json" >"$work/rival.log" 2>&1 || { cat "$work/rival.log" >&2; exit 1; }
  scripts/bench.sh --quick --json "$work/ours.$round.json" >"$work/ours.log" 2>&1 || { cat "$work/ours.log" >&2; exit 1; }
done

jq -s '[.[] | (.results // empty)[] | {what: .variant, op, in_flight, per_s, p50_ms: (.p50_us / 1000), p99_ms: (.p99_us / 1000)}]
  + [.[] | (.cases // empty)[] | select((.name == "read" or .name == "write") and .transport != "in_process")
     | {what: "cmkstore, \(.transport)", op: .name, in_flight, per_s: .throughput_per_s, p50_ms, p99_ms}]
  | def median: sort | .[(length - 1) / 2 | floor];
    group_by([.op, .in_flight, .what])
  | map({op: .[0].op, in_flight: .[0].in_flight, what: .[0].what, per_s: (map(.per_s) | median),
         lowest: (map(.per_s) | min), highest: (map(.per_s) | max),
         p50_ms: (map(.p50_ms) | median), p99_ms: (map(.p99_ms) | median)})' "$work"/{rival,ours}.*.json >"$work/table.json"
[ -z "$json" ] || cp "$work/table.json" "$json"
echo "| op | in flight | what | per s | lowest – highest | p50 ms | p99 ms |"
echo "| --- | ---: | --- | ---: | ---: | ---: | ---: |"
jq -r '.[] | def n: . * 100 | round / 100;
  "| \(.op) | \(.in_flight) | \(.what) | \(.per_s | round) | \(.lowest | round) – \(.highest | round) | \(.p50_ms | n) | \(.p99_ms | n) |"' \
  "$work/table.json"
