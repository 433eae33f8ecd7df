#!/usr/bin/env bash
# A real Kubernetes API server on loopback, with controllers, scheduler and nodes that KWOK plays; no container runs.
#   scripts/chart_cluster.sh start [--without-operators]   prints the kubeconfig; ready in half a minute
#   scripts/chart_cluster.sh stop                          by process id
# Needs helm/tools/install.sh and install_cluster.sh once (docs/try_chart.md); scripts/test_chart_cluster.sh calls all of it.
set -euo pipefail
cd "$(dirname "$0")/.."
tools=$PWD/build/chart-tools
state=$PWD/build/chart-cluster
export PATH=$tools/bin:$PATH
say() { echo "chart_cluster: $*" >&2; }
fail() { say "$*"; exit 1; }

stop() {
  # The API server before etcd, which it waits for.
  for program in kwok scheduler controllers apiserver etcd; do
    [ -f "$state/$program.pid" ] || continue
    pid=$(cat "$state/$program.pid")
    # After a restart of the machine the number is another program's.
    [ "$(readlink "/proc/$pid/cwd")" = "$state" ] || continue
    kill "$pid" 2>/dev/null || true
    for _ in $(seq 50); do kill -0 "$pid" 2>/dev/null || break; sleep 0.1; done
    kill -9 "$pid" 2>/dev/null || true
  done
  rm -rf "$state"
}

# Says what is missing before anything is started.
check_programs() {
  local program
  for program in etcd kube-apiserver kube-controller-manager kube-scheduler kubectl kwok; do
    [ -x "$tools/bin/$program" ] ||
      fail "build/chart-tools/bin/$program is not there: build it with helm/tools/install_cluster.sh build/chart-tools (some six minutes)"
  done
  for program in openssl python3; do
    command -v "$program" >/dev/null || fail "$program is not there: apt-get install $program"
  done
}

# What the operators define is in the modules that install.sh has fetched.
find_operators() {
  modules=$("$(helm/tools/install_go.sh "$tools")/go" env GOMODCACHE)
  operator=$modules/github.com/prometheus-operator/prometheus-operator@v0.85.0/example/prometheus-operator-crd
  certificates=$modules/github.com/cert-manager/cert-manager@v1.18.2/deploy/crds/crd-certificates.yaml
  if [ ! -d "$operator" ] || [ ! -f "$certificates" ]; then
    fail "what the operators define is not there: fetch it with helm/tools/install.sh build/chart-tools, or start --without-operators"
  fi
}

# A cluster that is half there is in the way of the next start.
give_up() {
  tail -n 3 "$state"/*.log >&2 || true
  stop
  say "the cluster did not start; what its programs said last is above"
}

launch() {
  local name=$1; shift
  "$@" >"$state/$name.log" 2>&1 </dev/null & echo $! >"$state/$name.pid"
}

still_runs() { kill -0 "$(cat "$1.pid")" 2>/dev/null || fail "$1 ended as soon as it was started"; }

start() {
  [ ! -d "$state" ] || fail "a cluster is there already; scripts/chart_cluster.sh stop"
  check_programs
  [ "${1:-}" = --without-operators ] || find_operators
  mkdir -p "$state"; cd "$state"
  trap give_up EXIT
  say "starting etcd and the API server"
  read -r client peer api controllers scheduler < <(python3 -c '
import socket
held = [socket.socket() for _ in range(5)]
for one in held: one.bind(("127.0.0.1", 0))
print(*(one.getsockname()[1] for one in held))')
  launch etcd etcd --name e --data-dir etcd --listen-client-urls "http://127.0.0.1:$client" \
    --advertise-client-urls "http://127.0.0.1:$client" --listen-peer-urls "http://127.0.0.1:$peer" \
    --initial-advertise-peer-urls "http://127.0.0.1:$peer" --initial-cluster "e=http://127.0.0.1:$peer"
  openssl genrsa -out sa.key 2048 2>/dev/null
  admin=$(openssl rand -hex 16); (umask 077; echo "$admin,admin,admin,\"system:masters\"" >tokens.csv)
  launch apiserver kube-apiserver --etcd-servers="http://127.0.0.1:$client" --bind-address=127.0.0.1 --secure-port="$api" \
    --cert-dir=certs --advertise-address=127.0.0.1 --endpoint-reconciler-type=none --service-cluster-ip-range=10.96.0.0/16 \
    --allow-privileged=true --service-account-issuer=https://kubernetes.default.svc --service-account-key-file=sa.key \
    --service-account-signing-key-file=sa.key --token-auth-file=tokens.csv --authorization-mode=RBAC
  for _ in $(seq 3000); do [ -s certs/apiserver.crt ] && break; still_runs apiserver; sleep 0.1; done
  export KUBECONFIG=$state/kubeconfig
  (umask 077; cat >kubeconfig <<YAML
apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "https://127.0.0.1:$api", certificate-authority: "$state/certs/apiserver.crt"}}]
users: [{name: admin, user: {token: "$admin"}}]
contexts: [{name: c, context: {cluster: c, user: admin}}]
current-context: c
YAML
)
  for _ in $(seq 1500); do kubectl get --raw /readyz >/dev/null 2>&1 && break; still_runs apiserver; sleep 0.2; done
  kubectl get --raw /readyz >/dev/null || fail "the API server did not become ready"
  say "starting controllers, scheduler and the nodes that KWOK plays"
  launch controllers kube-controller-manager --kubeconfig=kubeconfig --bind-address=127.0.0.1 --secure-port="$controllers" \
    --leader-elect=false --cert-dir=certs/c --service-account-private-key-file=sa.key --root-ca-file=certs/apiserver.crt \
    --enable-hostpath-provisioner=true --node-monitor-grace-period=1h
  launch scheduler kube-scheduler --kubeconfig=kubeconfig --bind-address=127.0.0.1 --secure-port="$scheduler" \
    --leader-elect=false --cert-dir=certs/s
  launch kwok kwok --kubeconfig=kubeconfig --manage-all-nodes=true --node-ip=127.0.0.1
  kubectl apply -f ../../helm/tools/cluster.yaml >/dev/null
  if [ "${1:-}" != --without-operators ]; then
    say "defining the objects of the Prometheus operator and of cert-manager"
    # cert-manager's file is a template of its chart, in labels alone.
    sed '/{{/d' "$certificates" >certificates.yaml
    kubectl apply --server-side -f "$operator/monitoring.coreos.com_servicemonitors.yaml" \
      -f "$operator/monitoring.coreos.com_prometheusrules.yaml" -f certificates.yaml >/dev/null
    kubectl wait --for=condition=Established crd --all --timeout=60s >/dev/null
  fi
  trap - EXIT
  say "ready: export PATH=$tools/bin:\$PATH KUBECONFIG=$state/kubeconfig"
  echo "$state/kubeconfig"
}

case "${1:-}" in
  start) shift; start "$@" ;;
  stop) stop ;;
  *) sed -n '2,5s/^# //p' "$0"; [ "${1:-}" = --help ] || exit 2 ;;
esac
