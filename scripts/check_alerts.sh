#!/usr/bin/env bash
# Checks the alert rules, their tests, the runbooks and the dashboard against each other and against docs/metrics.md.
#   scripts/check_alerts.sh               parses, runs the tests of tests/operations/, compares; seconds
#   scripts/check_alerts.sh --self-test   breaks each rule in three ways and sees that its tests notice; minutes
set -euo pipefail
cd "$(dirname "$0")/.."
[ "${1:-}" != --help ] || { sed -n '2,4s/^# //p' "$0"; exit 0; }
work=$PWD/build/alerts
mkdir -p "$work"
helm/tools/install_prometheus.sh build/prometheus
promtool=$PWD/build/prometheus/bin/promtool
rules=helm/cmkstore/files/alerts.yaml
python=python3
python3 -c 'import yaml' 2>/dev/null || {
  [ -x build/prometheus/venv/bin/python ] || python3 -m venv build/prometheus/venv
  build/prometheus/venv/bin/pip -q install pyyaml==6.0.2
  python=build/prometheus/venv/bin/python
}

if [ "${1:-}" = --self-test ]; then
  PROMTOOL=$promtool exec $python helm/tools/break_alerts.py $rules tests/operations
fi
$promtool check rules --lint=all --lint-fatal $rules
$promtool test rules tests/operations/*_test.yaml
$python helm/tools/check_alerts.py $rules helm/cmkstore/files/dashboard.json tests/operations docs "$work/dashboard_rules.yaml"
$promtool check rules "$work/dashboard_rules.yaml" >/dev/null
echo "alerts: all checks passed"
