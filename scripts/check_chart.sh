#!/usr/bin/env bash
# Checks the Helm chart at the strictest settings that make sense; needs no cluster.
#   scripts/check_chart.sh            lint, unit tests, schemas of four Kubernetes versions, scores, golden renders, docs
#   scripts/check_chart.sh --update   writes the golden renders, the chart's README and its schema of `config` anew
set -euo pipefail
cd "$(dirname "$0")/.."
[ "${1:-}" != --help ] || { sed -n '2,4s/^# //p' "$0"; exit 0; }
update=${1:-}
tools=$PWD/build/chart-tools
helm/tools/install.sh "$tools"
go_folder=$(helm/tools/install_go.sh "$tools")
export PATH=$tools/bin:$tools/venv/bin:$go_folder:$PATH
chart=helm/cmkstore
renders=build/chart; rm -rf $renders; mkdir -p $renders
mapfile -t exceptions < <(awk '{print $1}' helm/kube-score-exceptions.txt)
fail() { echo "check_chart: $*" >&2; exit 1; }

render() {
  helm template cmk $chart --namespace cmk --kube-version 1.36 --api-versions monitoring.coreos.com/v1 \
    --api-versions cert-manager.io/v1 --values "$@"
}
validate() {
  for version in 1.27.0 1.30.0 1.36.0 1.37.0; do
    kubeconform -strict -summary -kubernetes-version $version \
      -schema-location "$tools/schemas/{{.NormalizedKubernetesVersion}}-local{{.StrictSuffix}}/{{.ResourceKind}}{{.KindSuffix}}.json" \
      -schema-location "$tools/schemas/crd/{{.ResourceKind}}_{{.ResourceAPIVersion}}.json" "$1"
  done
}

# The schema of `config` is that of the reference, which is made from the server's code.
cp $chart/values.schema.json $renders/values.schema.json
python3 helm/tools/config_schema.py docs/configuration.md $renders/values.schema.json
if [ "$update" = --update ]; then cp $renders/values.schema.json $chart/; fi
diff -u $chart/values.schema.json $renders/values.schema.json ||
  fail "$chart/values.schema.json is not what docs/configuration.md has: scripts/check_chart.sh --update"

for values in "$chart"/ci/*-values.yaml; do
  scenario=$(basename "$values" -values.yaml)
  helm lint --quiet --strict $chart --values "$values"
  render "$values" >"$renders/$scenario.yaml"
  validate "$renders/$scenario.yaml"
  faults=$(kube-score score --output-format ci "${exceptions[@]}" "$renders/$scenario.yaml" |
    grep -v '^\[OK\]\|^\[SKIPPED\]' || true)
  [ -z "$faults" ] || fail "kube-score finds fault with $scenario:
$faults"
  golden=tests/golden/helm/$scenario.yaml
  # What lies in the chart's files/ is not kept a second time.
  render "$values" --set metrics.alerts.enabled=false,metrics.dashboard.enabled=false >"$renders/$scenario.golden.yaml"
  if [ "$update" = --update ]; then cp "$renders/$scenario.golden.yaml" "$golden"; fi
  diff -u "$golden" "$renders/$scenario.golden.yaml" ||
    fail "$scenario renders otherwise than $golden; if that is meant: scripts/check_chart.sh --update"
done
# A restart costs every hub its keys in memory: what the server takes over while it runs must not cause one.
restart_of() { render $chart/ci/single-node-values.yaml "$@" | sed -n 's/^ *checksum.config: //p'; }
as_it_is=$(restart_of)
[ "$(restart_of --set config.quotas.documents=5,config.log.level=debug,issuers[0].audience=a)" = "$as_it_is" ] ||
  fail "a changed quota, log level or issuer restarts the pod"
[ "$(restart_of --set config.requests.queues=2)" != "$as_it_is" ] || fail "a changed option of the start does not restart the pod"
# Maintainers are those of the repository, and the version moves at a release, not with each change.
rules=$(go env GOMODCACHE)/github.com/helm/chart-testing/v3@v3.14.0/etc
ct lint --charts $chart --chart-yaml-schema "$rules/chart_schema.yaml" --lint-conf "$rules/lintconf.yaml" \
  --validate-maintainers=false --check-version-increment=false >$renders/ct.log 2>&1 || { cat $renders/ct.log >&2; fail "ct finds fault"; }
# What docs/install_aks.md tells an operator to begin with: the certificates of step 4 and the values of step 5.
# shellcheck disable=SC2016  # the back-quotes are Markdown's
yaml_of_step() { sed -n "/^## $1\\. /,/^## $(($1 + 1))\\. /p" docs/install_aks.md | sed -n '/^```yaml$/,/^```$/p' | sed '1d;$d'; }
yaml_of_step 4 >$renders/install_aks-pki.yaml
yaml_of_step 5 >$renders/install_aks-values.yaml
[ -s $renders/install_aks-pki.yaml ] || fail "docs/install_aks.md has no certificates in step 4"
[ -s $renders/install_aks-values.yaml ] || fail "docs/install_aks.md has no values in step 5"
validate $renders/install_aks-pki.yaml
render $renders/install_aks-values.yaml >$renders/install_aks.yaml
validate $renders/install_aks.yaml
# shellcheck disable=SC2016  # the back-quotes are Markdown's
sed -n '/^```yaml$/,/^```$/p' docs/try_chart.md | sed '1d;$d' >$renders/try_chart-values.yaml
[ -s $renders/try_chart-values.yaml ] || fail "docs/try_chart.md has no values"
render $renders/try_chart-values.yaml >$renders/try_chart.yaml
validate $renders/try_chart.yaml
helm-unittest $chart
cp $chart/README.md $renders/README.before 2>/dev/null || true
helm-docs --chart-search-root $chart --log-level warning
if [ "$update" != --update ]; then
  diff -u $renders/README.before $chart/README.md || fail "the chart's README is not what its values say; it has been written anew"
fi
hadolint image/Dockerfile
echo "chart: all checks passed"
