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
version=v1.36.3
package=k8s.io/component-base/version
have() { [ -x "$out/bin/$1" ] || { echo "install_cluster: building $1${2:-}" >&2; false; }; }
have etcd || (cd "$here/etcd" && go build -trimpath -ldflags '-s -w' -o "$out/bin/etcd" go.etcd.io/etcd/server/v3)
have kubectl ", the API server, controllers and scheduler: some four minutes" || (cd "$here/kube" && go build -trimpath -o "$out/bin/" -ldflags "-s -w -X $package.gitVersion=$version
  -X $package.gitMajor=1 -X $package.gitMinor=36 -X k8s.io/client-go/pkg/version.gitVersion=$version" \
  k8s.io/kubernetes/cmd/{kube-apiserver,kube-controller-manager,kube-scheduler,kubectl})
have kwok || go install sigs.k8s.io/kwok/cmd/kwok@v0.7.0
