#!/usr/bin/env bash
# Builds a real Kubernetes control plane (etcd, API server, controllers, scheduler, kubectl) and KWOK, which plays the
# nodes, into OUT/bin: install_cluster.sh OUT. Some six minutes on two cores from nothing; what is there is left alone.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=$(mkdir -p "$1/bin" && cd "$1" && pwd)
# No debug information is made, since none is linked, and the compiler collects its garbage seldom: a fifth less of a
# processor's time, for some gigabyte of memory more.
export GOBIN=$out/bin CGO_ENABLED=0 GOGC=400 GOFLAGS=-gcflags=all=-dwarf=false
go_folder=$("$here/install_go.sh" "$out")
export PATH=$go_folder:$PATH
kubernetes=v1.36.3
package=k8s.io/component-base/version
linker="-s -w -X $package.gitVersion=$kubernetes -X $package.gitMajor=1 -X $package.gitMinor=36 -X k8s.io/client-go/pkg/version.gitVersion=$kubernetes"
build() {
  local name=$1 folder=$2 flags=$3 of=$4 time=$5
  [ ! -x "$out/bin/$name" ] || return 0
  echo "install_cluster: building $name: $time from nothing" >&2
  (cd "$here/$folder" && go build -trimpath -ldflags "$flags" -o "$out/bin/$name" "$of")
}
build etcd etcd '-s -w' go.etcd.io/etcd/server/v3 "half a minute"
build kube-apiserver kube "$linker" k8s.io/kubernetes/cmd/kube-apiserver "some two minutes"
for name in kube-controller-manager kube-scheduler kubectl; do
  build $name kube "$linker" k8s.io/kubernetes/cmd/$name "a minute"
done
[ -x "$out/bin/kwok" ] || { echo "install_cluster: building kwok: a minute" >&2; go install sigs.k8s.io/kwok/cmd/kwok@v0.7.0; }
echo "install_cluster: all of it is in $out/bin; scripts/chart_cluster.sh start" >&2
