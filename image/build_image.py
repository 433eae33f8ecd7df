#!/usr/bin/env python3
"""Builds the container image of cmkstore without a daemon or a registry.

Writes an OCI image layout (OUT/oci), its unpacked root file system (OUT/rootfs) and its bill of materials
(OUT/sbom.spdx.json), and prints the image's digest. The same programs give the same digest.
To push it: skopeo copy oci:OUT/oci docker://REGISTRY/cmkstore:VERSION
"""
import argparse
import datetime
import json
import pathlib
import platform
import re
import shutil
import subprocess
import sys

import oci_layout
import root_tree
import sbom

HOME = pathlib.Path(__file__).resolve().parent.parent
MAX_MB = 80
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def version() -> str:
    return re.search(r"project\(cmkstore VERSION ([\d.]+)", (HOME / "CMakeLists.txt").read_text()).group(1)


def commit_time() -> str:
    """The last commit's, so that two builds of one commit are the same; the epoch outside a checkout."""
    found = subprocess.run(["git", "-C", HOME, "log", "-1", "--format=%ct"], capture_output=True, text=True)
    seconds = int(found.stdout) if found.returncode == 0 and found.stdout.strip() else 0
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build-dir", type=pathlib.Path, default=HOME / "build/release", help="a built release preset")
    parser.add_argument("--out", type=pathlib.Path, default=HOME / "build/image", help="replaced if it exists")
    options = parser.parse_args()
    static_libraries = options.build_dir / "static_libraries.txt"
    if not static_libraries.exists():
        sys.exit(f"build_image: {static_libraries} is not there, which names what the programs have in them: configure and build the "
                 "release preset (cmake --preset release && cmake --build build/release), or name another --build-dir")
    if options.out.exists() and not (options.out / "rootfs").exists() and any(options.out.iterdir()):
        sys.exit(f"build_image: {options.out} is there and no image of before; name another directory, or remove it")
    shutil.rmtree(options.out, ignore_errors=True)
    root = options.out / "rootfs"
    sources = root_tree.make(options.build_dir, root)
    archives = [pathlib.Path(line) for line in static_libraries.read_text().split()]
    created = commit_time()
    digest = oci_layout.write(root, options.out / "oci", version(), created, ARCHITECTURES[platform.machine()])
    (options.out / "sbom.spdx.json").write_text(
        json.dumps(sbom.make(sources, archives, version(), created, digest), indent=1, sort_keys=True) + "\n")
    size = sum(path.stat().st_size for path in root.rglob("*") if path.is_file())
    if size > MAX_MB << 20:
        raise SystemExit(f"build_image: the root file system has {size >> 20} MB; the bound is {MAX_MB}")
    print(f"{digest} cmkstore {version()}, {size / (1 << 20):.1f} MB unpacked, {len(sources)} libraries")


if __name__ == "__main__":
    main()
