#!/usr/bin/env bash
# A real Prometheus with the real alert rules watches a live cmkstored while things are broken: each alert must fire, and clear again.
#   scripts/alert_drill.sh --quick     every time of the rules (`for:` and [range]) is a thirtieth, at least 2 s; three minutes
#   scripts/alert_drill.sh --all       at that pace, and more faults, of alerts whose times are long; ten minutes
#   scripts/alert_drill.sh             the rules as they are; half an hour
#     --bin DIR                        where cmkstored, cmkctl and cmkdevvault are; default build/dev/bin, else build/release/bin
#     --rules FILE                     other rules, such as broken ones, to see the drill fail
# Two faults need a small disk of their own, which takes the right to mount; without it they are skipped, in plain words.
set -euo pipefail
cd "$(dirname "$0")/.."
[ "${1:-}" != --help ] || { sed -n '2,8s/^# //p' "$0"; exit 0; }
helm/tools/install_prometheus.sh build/prometheus
private=()
if [ "$(id -u)" = 0 ] && unshare --mount true 2>/dev/null; then private=(unshare --mount)
elif unshare --user --map-root-user --mount true 2>/dev/null; then private=(unshare --user --map-root-user --mount)
fi
exec "${private[@]}" python3 tests/operations/drill.py --prometheus build/prometheus/bin/prometheus \
  --mounts "$([ ${#private[@]} -gt 0 ] && echo yes || echo no)" "$@"
