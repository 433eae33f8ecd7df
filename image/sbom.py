"""The image's bill of materials: SPDX 2.3 JSON, one entry for each Debian package that a file came from."""
import pathlib
import re
import subprocess
import uuid


def package_of(path: pathlib.Path) -> tuple[str, str, str]:
    """(package, version, source) of the installed file. Debian lists files under / or under /usr."""
    for candidate in (str(path), str(path).removeprefix("/usr")):
        found = subprocess.run(["dpkg-query", "-S", candidate], capture_output=True, text=True)
        if found.returncode == 0:
            name = found.stdout.split(": ")[0].split(",")[0]
            facts = subprocess.run(["dpkg-query", "-W", "-f", "${Package}\t${Version}\t${source:Package}", name],
                                   check=True, capture_output=True, text=True).stdout
            package, version, source = facts.split("\t")
            return package, version, source
    raise SystemExit(f"build_image: {path} belongs to no installed package, so the bill of materials cannot name it")


def entry(name: str, version: str, **more) -> dict:
    ident = "SPDXRef-" + re.sub(r"[^A-Za-z0-9.-]", "-", name)
    return {"SPDXID": ident, "name": name, "versionInfo": version, "downloadLocation": "NOASSERTION",
            "filesAnalyzed": False, "licenseConcluded": "NOASSERTION", "licenseDeclared": "NOASSERTION",
            "copyrightText": "NOASSERTION", **more}


def make(sources: list[pathlib.Path], version: str, created: str, image_digest: str) -> dict:
    packages = sorted({package_of(path) for path in sources} | {package_of(pathlib.Path("/usr/sbin/update-ca-certificates"))})
    product = entry("cmkstore", version, licenseDeclared="Apache-2.0")
    entries = [product]
    for package, package_version, source in packages:
        purl = f"pkg:deb/debian/{package}@{package_version}?distro=debian-12"
        entries.append(entry(package, package_version, supplier="Organization: Debian", sourceInfo=f"built from {source}",
                             externalRefs=[{"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl",
                                            "referenceLocator": purl}]))
    relations = [{"spdxElementId": "SPDXRef-DOCUMENT", "relationshipType": "DESCRIBES",
                  "relatedSpdxElement": product["SPDXID"]}]
    relations += [{"spdxElementId": product["SPDXID"], "relationshipType": "DYNAMIC_LINK",
                   "relatedSpdxElement": one["SPDXID"]} for one in entries[1:]]
    return {"spdxVersion": "SPDX-2.3", "dataLicense": "CC0-1.0", "SPDXID": "SPDXRef-DOCUMENT",
            "name": f"cmkstore-{version}",
            "documentNamespace": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_OID, image_digest)}",
            "creationInfo": {"created": created, "creators": ["Tool: cmkstore image/sbom.py"]},
            "packages": entries, "relationships": relations}
