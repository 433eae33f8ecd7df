#!/usr/bin/env python3
"""Checks the layers: which folder may include which, who owns which outside library, how long a file may be.

Prints file:line and the rule of each violation; exit 1 if there is any. --self-test shows that violations are found.
"""
import pathlib
import re
import sys

# folder -> folders that it may include, beside itself
ALLOWED = {
    "base": set(),
    "crypto": {"base"},
    "vault": {"base", "crypto"},
    "vault/dev_vault": {"base", "crypto"},
    "keycache": {"base", "crypto", "vault"},
    "store": {"base", "crypto"},
    "search": {"base", "crypto"},
    "service": {"base", "crypto", "vault", "keycache", "store", "search"},
    "cli": {"base", "crypto"},
}
ONLY_HEADERS = {
    # A store that cannot name a key cannot leak one.
    ("store", "crypto"): {"crypto/sealed_document.h"},
    # Beside the secrets that it carries: a login with a certificate is a JWT signed by its key and named by its digest,
    # the platform's vault wraps by itself, and the pauses of retries are random. Neither DEK nor document has a name here.
    ("vault", "crypto"): {
        "crypto/secret_bytes.h",
        "crypto/random.h",
        "crypto/jwt.h",
        "crypto/rsa_key.h",
        "crypto/digest.h",
        "crypto/key_wrap.h",
    },
    # The client's own certificate is looked at before it is shown; what is sealed is the server's.
    ("cli", "crypto"): {"crypto/tls_identity.h", "crypto/certificate_dates.h"},
}
# The keys and rows of the store are made in store/ alone: everybody else goes by its typed tables.
PRIVATE_HEADERS = {"store/key_layout.h": {"store", "tests"}}
# outside headers -> folders that own them
OWNED = {
    r"grpc(pp)?/": {"service", "cli"},
    r"rocksdb/": {"store"},
    r"openssl/": {"crypto"},
    r"sqlite3": {"search"},
    r"curl/": {"base"},
    r"spdlog/": {"base"},
    r"prometheus/": {"base"},
    r"httplib": {"vault/dev_vault", "service"},
    r"zstd": {"crypto"},
    r"yaml-cpp/": {"service"},
    # The public API's types stop at the edges; deeper layers take ids and bytes.
    r"cmkstore/v1/": {"service", "cli"},
    r"cmkstore/config/": {"service"},
    r"cmkstore/storage/": {"service", "store"},
}
MAX_LINES = 400
INCLUDE = re.compile(r'\s*#\s*include\s*["<]([^">]+)[">]')


def folder_of(path: str) -> str:
    if path.startswith("vault/dev_vault/"):
        return "vault/dev_vault"
    return path.split("/", 1)[0]


def check(path: str, text: str) -> list[str]:
    found = []
    lines = text.splitlines()
    if len(lines) > MAX_LINES:
        found.append(f"{path}:{len(lines)}: longer than {MAX_LINES} lines; split it by job")
    folder = folder_of(path)
    if folder not in ALLOWED:
        return found
    for number, line in enumerate(lines, 1):
        match = INCLUDE.match(line)
        if not match:
            continue
        header = match.group(1)
        if {".", ".."} & set(header.split("/")):
            found.append(f"{path}:{number}: {header} must be named from the root, without dots as a folder")
            continue
        target = folder_of(header)
        if target in ALLOWED and target != folder:
            if target not in ALLOWED[folder]:
                found.append(f"{path}:{number}: {folder}/ must not include {target}/")
            only = ONLY_HEADERS.get((folder, target))
            if only is not None and header not in only:
                found.append(f"{path}:{number}: {folder}/ may include of {target}/ only {sorted(only)}")
        if folder not in PRIVATE_HEADERS.get(header, {folder}):
            found.append(f"{path}:{number}: {header} is for {sorted(PRIVATE_HEADERS[header])} alone")
        for pattern, owners in OWNED.items():
            if re.match(pattern, header) and folder not in owners:
                found.append(f"{path}:{number}: <{header}> belongs to {sorted(owners)}")
    return found


def self_test() -> int:
    cases = {
        'store/x.cc:#include "crypto/dek.h"': 1,
        'store/x.cc:#include "crypto/sealed_document.h"': 0,
        'keycache/x.cc:#include "store/engine.h"': 1,
        'vault/x.cc:#include <openssl/evp.h>': 1,
        'service/x.cc:#include "keycache/key_cache.h"': 0,
        'base/x.cc:#include "service/server.h"': 1,
        'service/x.cc:#include "store/key_layout.h"': 1,
        'store/x.cc:#include "store/key_layout.h"': 0,
        'store/x.cc:#include "cmkstore/v1/document_service.pb.h"': 1,
        'keycache/x.cc:#include "cmkstore/v1/key_service.grpc.pb.h"': 1,
        'search/x.cc:#include <cmkstore/v1/search_service.pb.h>': 1,
        'search/x.cc:#include "cmkstore/storage/v1/records.pb.h"': 1,
        'cli/x.cc:#include "cmkstore/config/v1/config.pb.h"': 1,
        'store/x.cc:#include "cmkstore/storage/v1/records.pb.h"': 0,
        'service/x.cc:#include "cmkstore/v1/document_service.pb.h"': 0,
        'store/x.cc:#include "../crypto/dek.h"': 1,
        'store/rocksdb/x.cc:#include "./../../crypto/dek.h"': 1,
        'store/x.cc:#include "store/../crypto/dek.h"': 1,
        'store/x.cc:# include "crypto/dek.h"': 1,
        'store/x.cc:#include"crypto/dek.h"': 1,
        'vault/x.cc:#include "crypto/dek.h"': 1,
        'vault/x.cc:#include "crypto/sealed_document.h"': 1,
        'vault/x.cc:#include "crypto/jwt.h"': 0,
        'cli/x.cc:#include "crypto/dek.h"': 1,
        'cli/x.cc:#include "crypto/tls_identity.h"': 0,
        'vault/dev_vault/x.cc:#include "crypto/x509_mint.h"': 0,
    }
    for case, expected in cases.items():
        path, line = case.split(":", 1)
        if len(check(path, line)) != expected:
            print(f"self-test failed: {case}")
            return 1
    if not check("base/long.cc", "x\n" * (MAX_LINES + 1)):
        print("self-test failed: the length of a file")
        return 1
    return 0


def main() -> int:
    if "--self-test" in sys.argv:
        return self_test()
    root = pathlib.Path(__file__).resolve().parent.parent
    found = []
    for folder in [*ALLOWED, "tests"]:
        for path in sorted((root / folder).rglob("*")):
            if path.suffix in {".h", ".cc"}:
                relative = path.relative_to(root).as_posix()
                if folder == "vault" and relative.startswith("vault/dev_vault/"):
                    continue
                found += check(relative, path.read_text())
    print("\n".join(found) if found else "layers are as they should be")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
