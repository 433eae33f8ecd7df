#!/usr/bin/env bash
# Puts Debian's prometheus and promtool into OUT/bin: install_prometheus.sh OUT. What is there is left alone.
# The package is unpacked and not installed, so that no service starts and no rights are needed.
set -euo pipefail
out=$(mkdir -p "$1/bin" && cd "$1" && pwd)
if [ -x "$out/bin/promtool" ] && [ -x "$out/bin/prometheus" ]; then exit 0; fi
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
cd "$work"
apt-get download -qq prometheus 2>/dev/null || { apt-get update -qq; apt-get download -qq prometheus; }
dpkg-deb -x prometheus_*.deb .
cp usr/bin/promtool usr/bin/prometheus "$out/bin/"
