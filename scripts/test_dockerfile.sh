#!/usr/bin/env bash
# Holds image/Dockerfile against the image of image/build_image.py, without a registry: runs the commands of its build stage here, in
# their order, and builds its final stage from what they leave. Settings, and every file's owner, mode and size, must be the same.
#   scripts/test_dockerfile.sh      needs buildah (scripts/install_deps.sh --image) and build/image; scripts/test_image.sh calls it
# Not shown: that the same commands work in a container of debian:bookworm-slim, which comes from a registry.
set -euo pipefail
cd "$(dirname "$0")/.."
[ "${1:-}" != --help ] || { sed -n '2,5s/^# //p' "$0"; exit 0; }
fail() { echo "test_dockerfile: $*" >&2; exit 1; }

work=$PWD/build/dockerfile
rm -rf "$work"; mkdir -p "$work"
commands=$(sed -n '/^RUN /,/[^\\]$/{s/^RUN //;p}' image/Dockerfile)
[[ "$commands" == *"--out /image"* ]] || fail "image/Dockerfile makes no /image"
bash -ec "${commands//\/image/$work/image}" >/dev/null

{ printf 'FROM scratch AS build\nCOPY image /image\n'; sed -n '/^FROM scratch$/,$p' image/Dockerfile; } >"$work/Dockerfile"
engine() { buildah --storage-driver vfs --root "$work/storage" --runroot "$work/run" "$@"; }
engine bud --quiet --isolation chroot --timestamp 0 --tag made --file "$work/Dockerfile" "$work" >/dev/null
engine push --quiet made "oci:$work/oci"

blob() { echo "$1/blobs/sha256/$(jq -r "$3" "$2" | sed 's/^sha256://')"; }
manifest() { blob "$1" "$1/index.json" '.manifests[0].digest'; }
settings() { jq -S '.config | .Labels |= del(.["io.buildah.version"])' "$(blob "$1" "$(manifest "$1")" .config.digest)"; }
files() {
  local layer; layer=$(blob "$1" "$(manifest "$1")" '.layers | if length == 1 then .[0].digest else error("several layers") end')
  tar --numeric-owner -tvzf "$layer" | sed -E 's# +[0-9]{4}-[0-9-]{5} [0-9:]+ (\./|/)*# #; s#/$##' | tr -s ' ' | sed '/ $/d' | sort -k 4
}
for what in settings files; do
  $what build/image/oci >"$work/ours"
  $what "$work/oci" >"$work/theirs"
  diff "$work/ours" "$work/theirs" >&2 || fail "the Dockerfile's image (>) has other $what than that of image/build_image.py (<)"
done
rm -r "$work"
echo "dockerfile: the same settings and files as image/build_image.py makes"
