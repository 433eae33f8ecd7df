#!/usr/bin/env bash
# Builds the container image twice, and by its Dockerfile, and compares; then runs the server from the image's own root file
# system: read-only, without a shell, as the image's user; a document is put, got and found with the image's own cmkctl.
#   scripts/test_image.sh      builds the release preset's programs first
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/dev_vault.sh
[ "${1:-}" != --help ] || { sed -n '2,4s/^# //p' "$0"; exit 0; }
fail() { echo "test_image: $*" >&2; exit 1; }

scripts/install_deps.sh --image
cmake --preset release >/dev/null
cmake --build build/release --target cmkstored cmkctl cmkdevvault >/dev/null
first=$(python3 image/build_image.py); echo "$first"
# The second time with programs that were linked anew.
programs=(build/release/bin/cmkstored build/release/bin/cmkctl)
rm "${programs[@]}"
cmake --build build/release --target cmkstored cmkctl >/dev/null
[ "$first" = "$(python3 image/build_image.py)" ] || fail "two images of the same objects differ"
root=$PWD/build/image/rootfs
for program in "${programs[@]}"; do
  ! grep -qaF "$PWD" "$root/usr/bin/${program##*/}" || fail "${program##*/} has the path of the build's directory in it"
  readelf -lW "$root/usr/bin/${program##*/}" | grep GNU_RELRO >/dev/null || fail "${program##*/} has writable relocations"
done
# And base compiled anew, in another directory and past the compiler's cache: what is loaded of each object is the same.
again=$PWD/build/again
rm -rf "$again"
cmake --preset release -B "$again" >/dev/null
CCACHE_DISABLE=1 cmake --build "$again" --target cmkstore_base >/dev/null
objects=0
for object in "$again"/base/CMakeFiles/cmkstore_base.dir/*.o; do
  objcopy --strip-debug "$object" "$again/second.o"
  objcopy --strip-debug "build/release/${object#"$again"/}" "$again/first.o"
  cmp -s "$again/first.o" "$again/second.o" || fail "${object##*/} depends on when or where it is compiled"
  ! grep -qaF "$PWD" "$object" || fail "${object##*/} has the path of the source or build directory in it"
  objects=$((objects + 1))
done
[ $objects -gt 10 ] || fail "only $objects objects were compared"
rm -rf "$again"
scripts/test_dockerfile.sh
[ -z "$(find "$root" -name '*sh' -path '*bin*')" ] || fail "there is a shell in the image"
jq -e '.packages | length > 10' build/image/sbom.spdx.json >/dev/null || fail "the bill of materials is empty"
related() { jq -e --arg how "$1" --arg what "SPDXRef-$2" '[.relationships[] | select(.relatedSpdxElement == $what).relationshipType] == [$how]' \
  build/image/sbom.spdx.json >/dev/null || fail "the bill of materials has no $2, or not as $1"; }
related STATIC_LINK libgrpc-dev; related STATIC_LINK libcli11-dev; related STATIC_LINK nlohmann-json3-dev
related DYNAMIC_LINK libc6; related CONTAINS ca-certificates
mkdir -p build/image-without
refused=$(python3 image/build_image.py --build-dir build/image-without --out build/image-without/image 2>&1) && fail "an image of nothing was built"
[[ "$refused" =~ ^build_image:.*static_libraries.txt\ is\ not\ there.*cmake\ --preset\ release ]] || fail "what is missing is not said: $refused"
rm -r build/image-without

work=$(mktemp -d); pids=()
stop() { for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done; wait 2>/dev/null || true; rm -rf "$work"; }
trap stop EXIT
wait_for() { for _ in $(seq 3000); do [ -s "$1" ] && return; sleep 0.1; done; cat "$work"/*.log >&2; fail "$2 did not start"; }

build/release/bin/cmkdevvault --state-dir "$work/vault" >"$work/vault.log" 2>&1 & pids+=($!)
wait_for "$work/vault/ready.json" cmkdevvault
vault=$(ready url)
vault_call POST /keys/hub-key/create '{"kty":"RSA","key_size":2048}' >/dev/null

mkdir "$work/data" "$work/vault_login"
cp "$(ready ca_file)" "$work/vault_login/ca.pem"; cp "$(ready secret_file)" "$work/vault_login/secret"
chmod -R a+rX "$work/vault_login"; chmod 0777 "$work/data"
in_image() {
  bwrap --unshare-user --uid 65532 --gid 65532 --unshare-pid --die-with-parent --cap-drop ALL --clearenv \
    --setenv PATH /usr/bin --ro-bind "$root" / --ro-bind /etc/hosts /etc/hosts --proc /proc --dev /dev --tmpfs /tmp \
    --bind "$work/data" /var/lib/cmkstore --ro-bind "$work/vault_login" /etc/cmkstore "$@"
}
in_image cmkstored --data-dir /var/lib/cmkstore --development --listen 127.0.0.1:0 \
  --ready-file /var/lib/cmkstore/address --vault-host "${vault#https://}" --vault-ca /etc/cmkstore/ca.pem \
  --identity client-secret --authority "$(ready authority)" --identity-tenant "$(ready tenant_id)" \
  --identity-client "$(ready client_id)" --identity-secret-file /etc/cmkstore/secret >"$work/server.log" 2>&1 & pids+=($!)
wait_for "$work/data/address" cmkstored
dev=/var/lib/cmkstore/dev
ctl() {
  in_image --setenv CMKSTORE_ENDPOINT "localhost:$(sed 's/.*://' "$work/data/address")" --setenv CMKSTORE_CA $dev/ca.pem \
    --setenv CMKSTORE_CERT $dev/client.pem --setenv CMKSTORE_KEY $dev/client.key \
    --setenv CMKSTORE_TOKEN_FILE $dev/owner.token --setenv CMKSTORE_TENANT "$(ready tenant_id)" cmkctl "$@"
}
ctl hub create h1 --vault-key "$vault/keys/hub-key" >/dev/null
ctl project create h1/p1 >/dev/null
echo '{"answer": 42}' | ctl put h1/p1/notes/n1 >/dev/null
[ "$(ctl get h1/p1/notes/n1 | jq .answer)" = 42 ] || fail "the document did not come back"
sequence=$(ctl put h1/p1/notes/n1 --json <<<'{"answer": 42, "words": "found in the image"}' | jq -r .sequence)
[ "$(ctl search h1 'found image' --min-sequence "$sequence" --json | jq -r '.hits[].document.name' | sed 's#.*/##')" = n1 ] ||
  fail "the document was not found"
if in_image sh -c true 2>/dev/null; then fail "a shell ran in the image"; fi
echo "image: same digest twice; server ran read-only as uid 65532; a document put, got and found"
