"""The image's bill of materials: SPDX 2.3 JSON, one entry for each Debian package that a file or a linked archive came from."""
import pathlib
import re
import subprocess
import uuid

# Libraries that are headers only: compiled into the programs, and in no archive.
HEADERS = [pathlib.Path("/usr/include/CLI/CLI.hpp"), pathlib.Path("/usr/include/nlohmann/json.hpp")]
CERTIFICATES = [pathlib.Path("/usr/sbin/update-ca-certificates")]  # of the package whose bundle is in the image


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


def entries_of(files: list[pathlib.Path]) -> list[dict]:
    """One entry for each package that one of `files` came from."""
    entries = []
    for package, version, source in sorted({package_of(path) for path in files}):
        purl = f"pkg:deb/debian/{package}@{version}?distro=debian-12"
        entries.append(entry(package, version, supplier="Organization: Debian", sourceInfo=f"built from {source}",
                             externalRefs=[{"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl",
                                            "referenceLocator": purl}]))
    return entries


def make(loaded: list[pathlib.Path], archives: list[pathlib.Path], version: str, created: str,
         image_digest: str) -> dict:
    """`loaded`: files of the image that came from a package; `archives`: what was linked into the programs."""
    product = entry("cmkstore", version, licenseDeclared="Apache-2.0")
    entries = [product]
    relations = [{"spdxElementId": "SPDXRef-DOCUMENT", "relationshipType": "DESCRIBES",
                  "relatedSpdxElement": product["SPDXID"]}]
    for files, relation in ((loaded, "DYNAMIC_LINK"), (archives + HEADERS, "STATIC_LINK"), (CERTIFICATES, "CONTAINS")):
        found = entries_of(files)
        entries += found
        relations += [{"spdxElementId": product["SPDXID"], "relationshipType": relation, "relatedSpdxElement": one["SPDXID"]}
                      for one in found]
    return {"spdxVersion": "SPDX-2.3", "dataLicense": "CC0-1.0", "SPDXID": "SPDXRef-DOCUMENT",
            "name": f"cmkstore-{version}",
            "documentNamespace": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_OID, image_digest)}",
            "creationInfo": {"created": created, "creators": ["Tool: cmkstore image/sbom.py"]},
            "packages": entries, "relationships": relations}
