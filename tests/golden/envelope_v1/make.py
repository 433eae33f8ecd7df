#!/usr/bin/env python3
"""Writes the golden envelopes from docs/envelope_format.md alone. Needs the package `cryptography` and the program zstd.

    make.py DIRECTORY
"""
import pathlib
import struct
import subprocess
import sys

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.cmac import CMAC

DEK = b"\x42" * 32
PLAINTEXT = b'{"flow": "retail-assistant", "tags": ["golden", "golden", "golden", "golden"]}'


def count(start: int, size: int) -> bytes:
    return bytes((start + i) & 255 for i in range(size))


def aes(key: bytes, block: bytes) -> bytes:
    encryptor = Cipher(algorithms.AES(key), modes.ECB()).encryptor()
    return encryptor.update(block) + encryptor.finalize()


def cmac(key: bytes, message: bytes) -> bytes:
    mac = CMAC(algorithms.AES(key))
    mac.update(message)
    return mac.finalize()


def xor(*blocks: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(*blocks)) if len(blocks) == 2 else xor(xor(*blocks[:2]), *blocks[2:])


def derive(key: bytes, label: bytes) -> bytes:
    """SP 800-108, counter mode: PRF(i || label || 00 || L), L = 256 bits."""
    return b"".join(cmac(key, struct.pack(">I", i) + label + b"\0" + struct.pack(">I", 256)) for i in (1, 2))


def seal(key: bytes, nonce: bytes, plaintext: bytes, data: bytes) -> bytes:
    """KC-XAES-256-GCM: ciphertext, tag, commitment."""
    doubled = int.from_bytes(aes(key, bytes(16)), "big") << 1
    k1 = ((doubled ^ 0x87 if doubled >> 128 else doubled) & (2**128 - 1)).to_bytes(16, "big")
    derived = b"".join(aes(key, xor(bytes([0, i, 0x58, 0]) + nonce[:12], k1)) for i in (1, 2))
    x = aes(key, b"XCMT" + nonce[:12])
    commitment = b"".join(aes(key, xor(x, k1, nonce[12:] + bytes([0, 1, 0, i]))) for i in (1, 2))
    return AESGCM(derived).encrypt(nonce[12:], plaintext, data) + commitment


def envelope(kind: str, flags: int, payload: bytes) -> bytes:
    header = b"CK\1\2" + bytes([flags, 0, 0, 0]) + count(0x50, 16) + struct.pack(">Q", 0x0102030405060708)
    data = f"cmkstore/{kind}/v1\0".encode() + header
    for field in (b"11111111-2222-4333-8444-555555555555", count(0x10, 16), count(0x30, 16), b"flows", b"retail-assistant"):
        data += struct.pack(">I", len(field)) + field
    nonce = count(0x80, 24)
    key = derive(DEK, b"hub-secrets" if kind == "hub-secrets" else b"document")
    return header + nonce + seal(key, nonce, payload, data)


def write(folder: pathlib.Path, name: str, content: bytes) -> None:
    digits = content.hex()
    lines = [digits[at : at + 64] for at in range(0, len(digits), 64)]
    (folder / f"{name}.hex").write_text("\n".join(lines) + "\n")


def main() -> None:
    folder = pathlib.Path(sys.argv[1])
    for kind in ("document", "tombstone", "response", "project", "hub", "hub-secrets", "audit"):
        write(folder, kind.replace("-", "_"), envelope(kind, 0, PLAINTEXT))
    zstd = ["zstd", "-q", "-c", "--no-check", f"--stream-size={len(PLAINTEXT)}"]
    frame = subprocess.run(zstd, input=PLAINTEXT, capture_output=True, check=True).stdout
    packed = struct.pack(">I", len(PLAINTEXT)) + frame
    write(folder, "document_zstd_padded", envelope("document", 5, packed + bytes(-len(packed) % 64)))


main()
