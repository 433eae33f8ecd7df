#!/usr/bin/env bash
# Checks the Helm chart at the strictest settings that make sense; needs no cluster.
#   scripts/check_chart.sh            lint, unit tests, schemas of four Kubernetes versions, scores, golden renders, docs
#   scripts/check_chart.sh --update   writes the golden renders and the chart's README anew
set -euo pipefail
cd "$(dirname "$0")/.."
[ "${1:-}" != --help ] || { sed -n '2,4s/^# //p' "$0"; exit 0; }
update=${1:-}
tools=$PWD/build/chart-tools
helm/tools/install.sh "$tools"
export PATH=$tools/bin:$tools/venv/bin:$PATH
chart=helm/cmkstore
renders=build/chart; rm -rf $renders; mkdir -p $renders
mapfile -t exceptions < <(awk '{print $1}' helm/kube-score-exceptions.txt)
fail() { echo "check_chart: $*" >&2; exit 1; }

for values in $chart/ci/*-values.yaml; do
  scenario=$(basename "$values" -values.yaml)
  helm lint --quiet --strict $chart --values "$values"
  helm template cmk $chart --namespace cmk --values "$values" --kube-version 1.36 \
    --api-versions monitoring.coreos.com/v1 --api-versions cert-manager.io/v1 >"$renders/$scenario.yaml"
  for version in 1.27.0 1.30.0 1.36.0 1.37.0; do
    kubeconform -strict -summary -kubernetes-version $version \
      -schema-location "$tools/schemas/{{.NormalizedKubernetesVersion}}-local{{.StrictSuffix}}/{{.ResourceKind}}{{.KindSuffix}}.json" \
      -schema-location "$tools/schemas/crd/{{.ResourceKind}}_{{.ResourceAPIVersion}}.json" "$renders/$scenario.yaml"
  done
  faults=$(kube-score score --output-format ci "${exceptions[@]}" "$renders/$scenario.yaml" |
    grep -v '^\[OK\]\|^\[SKIPPED\]' || true)
  [ -z "$faults" ] || fail "kube-score finds fault with $scenario:
$faults"
  golden=tests/golden/helm/$scenario.yaml
  if [ "$update" = --update ]; then cp "$renders/$scenario.yaml" "$golden"; fi
  diff -u "$golden" "$renders/$scenario.yaml" ||
    fail "$scenario renders otherwise than $golden; if that is meant: scripts/check_chart.sh --update"
done
helm-unittest $chart
cp $chart/README.md $renders/README.before 2>/dev/null || true
helm-docs --chart-search-root $chart --log-level warning
if [ "$update" != --update ]; then
  diff -u $renders/README.before $chart/README.md || fail "the chart's README is not what its values say; it has been written anew"
fi
hadolint image/Dockerfile
echo "chart: all checks passed"
