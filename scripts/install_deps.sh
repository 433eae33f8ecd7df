#!/usr/bin/env bash
# Installs what building and testing need on Debian 12. Does nothing, in a moment, when all of it is there.
# --check only prints what is missing. --fuzz installs what scripts/fuzz.sh needs as well, --browser what
# scripts/coverage_screenshot.sh needs, --lint what scripts/lint.sh needs, --image what scripts/test_image.sh needs.
set -euo pipefail

packages=(
  bubblewrap ca-certificates ccache cmake curl g++ git jq libabsl-dev libbenchmark-dev libcli11-dev libcpp-httplib-dev
  libcurl4-openssl-dev libgmock-dev libgrpc++-dev libgtest-dev libjemalloc-dev libprotobuf-dev librocksdb-dev
  libspdlog-dev libsqlite3-dev libssl-dev libyaml-cpp-dev libzstd-dev mold ninja-build nlohmann-json3-dev
  pkg-config prometheus-cpp-dev protobuf-compiler protobuf-compiler-grpc python3 python3-grpcio python3-protobuf
  python3-venv
)
case "${1:-}" in
  --fuzz) packages+=(clang-16 libclang-rt-16-dev) ;;
  --browser) packages+=(chromium fonts-dejavu-core) ;;
  --image) packages+=(buildah) ;;
  --lint) packages+=(shellcheck clang-format-16) ;;
esac

missing=()
for package in "${packages[@]}"; do
  state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
  [ "$state" = installed ] || missing+=("$package")
done
if [ ${#missing[@]} -eq 0 ]; then exit 0; fi
if [ "${1:-}" = --check ]; then printf '%s\n' "${missing[@]}"; exit 1; fi

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  if ! command -v sudo >/dev/null; then
    echo "These packages are missing and only root can install them: ${missing[*]}" >&2
    exit 1
  fi
  as_root=(sudo)
fi
export DEBIAN_FRONTEND=noninteractive
"${as_root[@]}" apt-get update -qq
"${as_root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
