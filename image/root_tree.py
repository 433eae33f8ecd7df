"""The image's root file system: the programs, the libraries that they load, and nothing to run but them."""
import os
import pathlib
import shutil
import subprocess

UID = 65532  # as `nonroot` of other minimal images
PROGRAMS = ("cmkstored", "cmkctl")
ACCOUNTS = {
    "etc/passwd": f"root:x:0:0:root:/:/sbin/nologin\ncmkstore:x:{UID}:{UID}:cmkstore:/var/lib/cmkstore:/sbin/nologin\n",
    "etc/group": f"root:x:0:\ncmkstore:x:{UID}:\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
    "etc/hosts": "",  # the container runtime mounts its own over these two
    "etc/resolv.conf": "",
}
CERTIFICATES = "etc/ssl/certs/ca-certificates.crt"
MOUNT_POINTS = ("dev", "proc", "sys", "tmp", "etc/cmkstore", "var/lib/cmkstore")


def libraries_of(program: pathlib.Path) -> dict[str, pathlib.Path]:
    """Path in the image -> file on this machine, for all that the dynamic loader maps, itself included."""
    lines = subprocess.run(["ldd", program], check=True, capture_output=True, text=True).stdout.splitlines()
    found = {}
    for line in lines:
        words = line.split()
        if "not found" in line:
            raise SystemExit(f"build_image: {program.name} needs {words[0]}, which is not installed; run scripts/install_deps.sh")
        path = next((word for word in words if word.startswith("/")), None)
        if path is not None:
            found[path.lstrip("/")] = pathlib.Path(path).resolve()
    return found


def make(build_dir: pathlib.Path, root: pathlib.Path) -> list[pathlib.Path]:
    """Lays the tree out at `root`, which must not exist. Returns the system's files that went into it."""
    sources = []
    for point in MOUNT_POINTS:
        (root / point).mkdir(parents=True)
    for name, text in ACCOUNTS.items():
        (root / name).write_text(text)
    (root / CERTIFICATES).parent.mkdir(parents=True)
    shutil.copyfile("/" + CERTIFICATES, root / CERTIFICATES)
    (root / "usr/bin").mkdir(parents=True)
    for name in PROGRAMS:
        program = build_dir / "bin" / name
        if not program.exists():
            raise SystemExit(f"build_image: {program} is not built")
        for target, source in libraries_of(program).items():
            place = root / target
            if not place.exists():
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, place)
                sources.append(source)
        # Debug sections differ by when they were built. No section that is loaded is taken out: objcopy then drops
        # the segment that has relocated data read-only, too.
        subprocess.run(["objcopy", "--strip-all", program, root / "usr/bin" / name], check=True)
    for path in root.rglob("*"):
        if path.is_dir():
            path.chmod(0o755)
        else:
            path.chmod(0o755 if path.parent.name == "bin" or path.name.startswith("ld-linux") else 0o644)
    os.chmod(root / "tmp", 0o1777)
    return sources
