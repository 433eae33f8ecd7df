#!/usr/bin/env bash
# Installs, upgrades, rolls back, scales, drains, tests and uninstalls the chart on a real Kubernetes API server.
# What no container runtime can show here (probes, the programs themselves) scripts/test_image.sh shows.
set -euo pipefail
cd "$(dirname "$0")/.."
[ "${1:-}" != --help ] || { sed -n '2,3s/^# //p' "$0"; exit 0; }
tools=$PWD/build/chart-tools
helm/tools/install.sh "$tools"; helm/tools/install_cluster.sh "$tools"
export PATH=$tools/bin:$PATH KUBECONFIG=$PWD/build/chart-cluster/kubeconfig
chart=helm/cmkstore
fail() { echo "test_chart_cluster: $*" >&2; exit 1; }
step() { echo "-- $*"; }
refuses() { local text=$1 out; shift; if out=$("$@" 2>&1); then fail "should have been refused: $*"; fi
  grep -q "$text" <<<"$out" || fail "refused, but not by \"$text\": $out"; }
# What a cloud does for a service of type LoadBalancer, which helm --wait waits for: an address.
play_cloud() {
  set +e  # there is no server at first
  while sleep 1; do
    kubectl get services -A -o json 2>/dev/null | jq -r '.items[]
        | select(.spec.type == "LoadBalancer" and .status.loadBalancer.ingress == null)
        | [.metadata.namespace, .metadata.name] | @tsv' | while read -r namespace name; do
      kubectl -n "$namespace" patch service "$name" --subresource=status --type=merge \
        --patch '{"status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}}' >/dev/null
    done
  done
}
play_cloud 2>/dev/null & cloud=$!
trap 'kill $cloud; scripts/chart_cluster.sh stop' EXIT

restricted() { kubectl create namespace "$1" >/dev/null
  kubectl label namespace "$1" pod-security.kubernetes.io/enforce=restricted >/dev/null; }

# The volumes that a release with backups expects to find.
backup_claims() {
  local claim
  for claim in cmkstore-backup cmkstore-receipts; do
    kubectl -n "$1" create -f - >/dev/null <<<'{"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "'$claim'"},
      "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}'
  done
}

step "a clone without the programs, or with one that ends: says what to do, and leaves nothing in the way"
fresh=build/chart-fresh; rm -rf $fresh; mkdir -p $fresh/scripts $fresh/build/chart-tools
cp scripts/chart_cluster.sh $fresh/scripts/
refuses "etcd is not there: build it with helm/tools/install_cluster.sh" timeout 10 $fresh/scripts/chart_cluster.sh start
mkdir $fresh/build/chart-tools/bin
for program in etcd kube-apiserver kube-controller-manager kube-scheduler kubectl kwok; do
  ln -s "$(type -P false)" $fresh/build/chart-tools/bin/$program
done
refuses "apiserver ended as soon as it was started" timeout 20 $fresh/scripts/chart_cluster.sh start --without-operators
[ ! -e $fresh/build/chart-cluster ] || fail "a cluster that did not start is in the way of the next one"
rm -r $fresh

step "without the operators' CRDs: says which one is missing, and installs without them"
scripts/chart_cluster.sh stop; scripts/chart_cluster.sh start --without-operators >/dev/null
restricted bare; backup_claims bare
refuses "Prometheus operator's CRDs" helm install s $chart -n bare --values $chart/ci/single-node-values.yaml --set metrics.serviceMonitor.enabled=true
helm install s $chart -n bare --values $chart/ci/single-node-values.yaml --wait --timeout 60s >/dev/null
scripts/chart_cluster.sh stop; scripts/chart_cluster.sh start >/dev/null

step "every scenario passes strict validation by the server; a misspelt field does not"
restricted cmk; backup_claims cmk
for values in "$chart"/ci/*-values.yaml; do
  helm template cmk $chart -n cmk --values "$values" --api-versions monitoring.coreos.com/v1 --api-versions cert-manager.io/v1 |
    tee build/chart-cluster/render.yaml | kubectl apply --dry-run=server --validate=strict -f - >/dev/null
  sed -i 's/terminationGracePeriodSeconds:/terminationGraceSeconds:/' build/chart-cluster/render.yaml
  refuses terminationGraceSeconds kubectl apply --dry-run=server --validate=strict -f build/chart-cluster/render.yaml
done

step "install, upgrade with changed values, roll back, in a namespace that enforces the restricted level"
install() { helm "$1" cmk $chart -n cmk --values $chart/ci/aks-values.yaml --wait --timeout 60s "${@:2}" >/dev/null; }
hash() { kubectl -n cmk get statefulset cmk-cmkstore -o jsonpath='{.spec.template.metadata.annotations.checksum/config}'; }
kubectl -n cmk create secret generic cmkstore-test --from-literal=token=t >/dev/null
install install; first=$(hash)
install upgrade --set config.requests.queues=2
[ "$(hash)" != "$first" ] || fail "a changed configuration does not restart the pod"
helm rollback cmk 1 -n cmk --wait --timeout 60s >/dev/null
[ "$(hash)" = "$first" ] || fail "the roll-back did not bring the configuration back"

step "helm test runs to its end"
helm test cmk -n cmk --timeout 60s >/dev/null

step "scale to nothing and back: the same volume"
claim() { kubectl -n cmk get pvc data-cmk-cmkstore-0 -o jsonpath='{.spec.volumeName}'; }
volume=$(claim)
install upgrade --set replicas=0; [ -z "$(kubectl -n cmk get pods -l app.kubernetes.io/name=cmkstore -o name)" ] || fail "a pod is left"
install upgrade; [ "$(claim)" = "$volume" ] || fail "the volume changed"
refuses replicas helm upgrade cmk $chart -n cmk --values $chart/ci/aks-values.yaml --set replicas=2

step "a larger volume: an upgrade refuses and says how; the way of docs/operations.md keeps pod and volume"
refuses "Disk growth" helm upgrade cmk $chart -n cmk --values $chart/ci/aks-values.yaml --set persistence.size=64Gi
refuses "config.store.shards is 4" helm upgrade cmk $chart -n cmk --values $chart/ci/aks-values.yaml --set config.store.shards=8
refuses "persistence.storageClassName" helm upgrade cmk $chart -n cmk --values $chart/ci/aks-values.yaml --set persistence.storageClassName=other
refuses "persistence.annotations" helm upgrade cmk $chart -n cmk --values $chart/ci/aks-values.yaml --set persistence.annotations.a=b
pod() { kubectl -n cmk get pod cmk-cmkstore-0 -o jsonpath='{.metadata.uid}'; }
serving=$(pod)
kubectl -n cmk patch pvc data-cmk-cmkstore-0 -p '{"spec":{"resources":{"requests":{"storage":"64Gi"}}}}' >/dev/null
kubectl -n cmk delete statefulset cmk-cmkstore --cascade=orphan >/dev/null
install upgrade --set persistence.size=64Gi
[ "$(pod)" = "$serving" ] || fail "the pod was made anew for a larger volume"
[ "$(claim)" = "$volume" ] || fail "the volume changed"

step "a second release in the same namespace"
helm install other $chart -n cmk --values $chart/ci/single-node-values.yaml --wait --timeout 60s >/dev/null

step "a release whose name is as long as Helm lets it be"
long=a23456789-123456789-123456789-123456789-123456789-123
helm install $long $chart -n cmk --values $chart/ci/single-node-values.yaml --wait --timeout 60s >/dev/null
helm uninstall $long -n cmk --wait >/dev/null

step "a drain waits for a person where the budget says so, and takes the pod where it does not"
# The budget's controller counts healthy pods; until it has, it disrupts nothing.
kubectl -n cmk wait pdb/cmk-cmkstore --for=jsonpath='{.status.disruptionsAllowed}'=1 --timeout=30s >/dev/null
refuses "violate the pod's disruption budget" kubectl drain fake-0 --ignore-daemonsets --delete-emptydir-data --timeout=3s
kubectl -n cmk get pod other-cmkstore-0 >/dev/null || fail "the guarded pod was evicted"
kubectl uncordon fake-0 >/dev/null

step "uninstall keeps the data"
helm uninstall cmk -n cmk --wait >/dev/null; helm uninstall other -n cmk --wait >/dev/null
[ "$(claim)" = "$volume" ] || fail "the volume claim is gone"
refuses "is there from before" helm install cmk $chart -n cmk --values $chart/ci/aks-values.yaml
left=$(kubectl -n cmk get statefulset,service,networkpolicy,pdb -o name)
[ -z "$left" ] || fail "left behind by the chart: $left"
echo "chart: installed, upgraded, rolled back, tested, scaled, drained and uninstalled on a real API server"
