"""Writes a root file system as an OCI image layout, byte for byte the same for the same tree.

Source: OCI Image Format Specification 1.1 (image-layout, manifest, config).
"""
import gzip
import hashlib
import io
import json
import pathlib
import tarfile

import root_tree

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
DATA = "var/lib/cmkstore"


def tar_of(root: pathlib.Path) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for path in sorted(root.rglob("*")):
            name = str(path.relative_to(root))
            info = tar.gettarinfo(path, arcname=name)
            info.uid = info.gid = root_tree.UID if name == DATA else 0
            info.uname = info.gname = ""
            info.mtime = 0
            if path.is_file():
                with path.open("rb") as content:
                    tar.addfile(info, content)
            else:
                tar.addfile(info)
    return out.getvalue()


class Layout:
    def __init__(self, folder: pathlib.Path):
        self.folder = folder
        (folder / "blobs/sha256").mkdir(parents=True)

    def add(self, media_type: str, content: bytes) -> dict:
        digest = hashlib.sha256(content).hexdigest()
        (self.folder / "blobs/sha256" / digest).write_bytes(content)
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(content)}

    def add_json(self, media_type: str, value: dict) -> dict:
        return self.add(media_type, json.dumps(value, sort_keys=True, separators=(",", ":")).encode())


def write(root: pathlib.Path, folder: pathlib.Path, version: str, created: str, architecture: str) -> str:
    """Returns the manifest's digest."""
    layout = Layout(folder)
    tar = tar_of(root)
    layer = layout.add(LAYER, gzip.compress(tar, compresslevel=6, mtime=0))
    config = layout.add_json(CONFIG, {
        "architecture": architecture,
        "os": "linux",
        "created": created,
        "config": {
            "User": f"{root_tree.UID}:{root_tree.UID}",
            "Entrypoint": ["/usr/bin/cmkstored"],
            "WorkingDir": "/",
            "Env": ["PATH=/usr/bin", "SSL_CERT_FILE=/" + root_tree.CERTIFICATES],
            "Volumes": {"/" + DATA: {}},
            "Labels": {"org.opencontainers.image.title": "cmkstore",
                       "org.opencontainers.image.version": version,
                       "org.opencontainers.image.licenses": "Apache-2.0"},
        },
        "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(tar).hexdigest()]},
        "history": [{"created": created, "created_by": "image/build_image.py"}],
    })
    manifest = layout.add_json(MANIFEST, {
        "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer],
        "annotations": {"org.opencontainers.image.version": version},
    })
    index = dict(manifest, annotations={"org.opencontainers.image.ref.name": version},
                 platform={"architecture": architecture, "os": "linux"})
    (folder / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    (folder / "index.json").write_text(json.dumps(
        {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [index]},
        sort_keys=True))
    return manifest["digest"]
