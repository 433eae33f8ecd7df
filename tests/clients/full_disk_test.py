#!/usr/bin/env python3
"""A real file system runs full, to the last byte, under the server's writers: the data directory is a small tmpfs.

The server lives, says STORE_FULL, goes on reading, locks hubs and, once there is room, writes again by itself. Killed by SIGKILL
on the full disk it says why it does not start there; with room it starts, and has every acknowledged document and none
that was refused.

Usage: full_disk_test.py BIN_DIR      exit code 77 where nothing may be mounted
"""
import os
import pathlib
import subprocess
import sys
import threading
import time

import grpc

from served import Served, document_name

# Room for what RocksDB allocates ahead: a log of 64 MiB, and a table of all that is in one.
DISK_MIB, WRITERS, ROUNDS, SECONDS = 640, 4, 2, 60
STORE = {"shards": 1, "min_free_disk": "1MiB"}
SKIPPED = 77


def fill(path: pathlib.Path) -> None:
    """To the last byte."""
    with open(path, "ab", buffering=0) as filler:
        size = 1 << 20
        while size:
            try:
                filler.write(b"x" * size)
            except OSError:
                size //= 2


def content_of(name: str) -> bytes:
    return ('{"body": "' + name + " " + "x" * 40000 + '"}').encode()


class Writer(threading.Thread):
    """Creates documents until it is told to stop or the server is gone."""

    def __init__(self, stub, metadata, prefix: str):
        super().__init__(daemon=True)
        self.stub, self.metadata, self.prefix = stub, metadata, prefix
        self.acknowledged, self.refused, self.stopping = [], [], threading.Event()
        self.full = 0

    def run(self):
        from cmkstore.v1 import document_service_pb2 as pb
        number = 0
        while not self.stopping.is_set():
            name = f"{self.prefix}n{number}"
            number += 1
            request = pb.UpdateDocumentRequest(allow_missing=True)
            request.document.name, request.document.content = document_name(name), content_of(name)
            try:
                self.stub.UpdateDocument(request, metadata=self.metadata, timeout=30)
                self.acknowledged.append(name)
            except grpc.RpcError as error:
                reason = reason_of(error)
                if reason not in ("STORE_FULL", "STORE_BUSY"):  # busy: while it comes back
                    return  # killed: nobody knows of this one
                self.refused.append(name)
                self.full += reason == "STORE_FULL"
                time.sleep(0.05)


def reason_of(error: grpc.RpcError) -> str:
    from google.rpc import error_details_pb2, status_pb2
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            for detail in status_pb2.Status.FromString(value).details:
                info = error_details_pb2.ErrorInfo()
                if detail.Unpack(info):
                    return info.reason
    return f"{error.code()} {error.details()}"


def wait_for(what: str, seen) -> float:
    """Seconds until it is."""
    began = time.monotonic()
    while not seen():
        assert time.monotonic() - began < SECONDS, f"not within {SECONDS} s: {what}"
        time.sleep(0.05)
    return time.monotonic() - began


def names_of(stub, metadata) -> dict:
    from cmkstore.v1 import document_service_pb2 as pb
    found, token = {}, ""
    while True:
        page = stub.ListDocuments(pb.ListDocumentsRequest(
            parent=document_name("x").rsplit("/", 2)[0], page_size=1000, page_token=token),
            metadata=metadata, timeout=30)
        found.update({d.name.rsplit("/", 1)[1]: d.content for d in page.documents})
        token = page.next_page_token
        if not token:
            return found


def one_round(served: Served, number: int, known: set) -> str:
    from cmkstore.v1 import document_service_pb2 as pb, document_service_pb2_grpc as services
    filler, metadata = served.path / "data" / "filler", served.bearer("contributor")
    with served.channel() as channel:
        stub = services.DocumentServiceStub(channel)
        writers = [Writer(stub, metadata, f"r{number}w{i}") for i in range(WRITERS)]
        for writer in writers:
            writer.start()
        wait_for("some documents of each", lambda: all(len(w.acknowledged) > 20 for w in writers))
        fill(filler)
        wait_for("STORE_FULL", lambda: all(w.full for w in writers))
        before = writers[0].acknowledged[0]
        document = stub.GetDocument(pb.GetDocumentRequest(name=document_name(before)), metadata=metadata, timeout=30)
        assert document.content == content_of(before), "a full disk must not keep anybody from reading"
        try:
            stub.DeleteDocument(pb.DeleteDocumentRequest(name=document_name(before)), metadata=metadata, timeout=30)
            raise AssertionError("docs/errors.md: a delete is a write, and is refused on a full disk")
        except grpc.RpcError as refusal:
            assert reason_of(refusal) in ("STORE_FULL", "STORE_BUSY"), reason_of(refusal)
        assert "ok" in served.admin_page("/livez"), "no restart would help"
        filler.unlink()
        counts = [len(w.acknowledged) for w in writers]
        recovery = wait_for("writes go on", lambda: all(
            len(w.acknowledged) > count for w, count in zip(writers, counts)))
        fill(filler)
        refusals = [w.full for w in writers]
        wait_for("STORE_FULL again", lambda: all(w.full > count for w, count in zip(writers, refusals)))
        assert served.server.poll() is None, "the server has ended"
        served.kill()
        for writer in writers:
            writer.stopping.set()
            writer.join()
    fill(filler)  # also what the killed server had deleted and held open
    try:
        served.start(store=STORE)
        raise AssertionError("a start without any room must say so")
    except RuntimeError as refusal:
        assert "shard-0 does not open: the store has no room left" in str(refusal) or \
            "cannot be written to the data directory" in str(refusal), refusal
    filler.unlink()
    served.start(store=STORE)
    with served.channel() as channel:
        found = names_of(services.DocumentServiceStub(channel), served.bearer("reader"))
    known |= {name for w in writers for name in w.acknowledged}
    lost = known - found.keys()
    assert not lost, f"{len(lost)} acknowledged documents are lost: {sorted(lost)[:5]}"
    phantoms = {name for w in writers for name in w.refused} & found.keys()
    assert not phantoms, f"{len(phantoms)} refused documents are there: {sorted(phantoms)[:5]}"
    wrong = [name for name, content in found.items() if content != content_of(name)]
    assert not wrong, f"{len(wrong)} documents have other content"
    refused = sum(len(w.refused) for w in writers)
    return f"round {number}: {len(known)} documents kept, {refused} writes refused, {recovery:.1f} s until writes went on"


def lock_on_a_full_disk(served: Served) -> str:
    """A lock that cannot be written is in force all the same; nobody's reads wait for the disk meanwhile."""
    from cmkstore.v1 import document_service_pb2 as pb, document_service_pb2_grpc as services
    from cmkstore.v1 import key_service_pb2 as keys_pb, key_service_pb2_grpc as key_services
    filler, metadata, key_admin = served.path / "data" / "filler", served.bearer("contributor"), served.bearer("key_admin")
    hub = document_name("x").split("/projects/")[0]
    with served.channel() as channel:
        stub, keys = services.DocumentServiceStub(channel), key_services.KeyServiceStub(channel)

        def unlocked() -> bool:
            try:
                keys.UnlockHub(keys_pb.UnlockHubRequest(name=hub), metadata=key_admin, timeout=30)
            except grpc.RpcError as error:
                assert reason_of(error) in ("STORE_FULL", "STORE_BUSY"), reason_of(error)
                return False
            return True
        refused, reads = "", 0
        for attempt in range(20):
            writer = Writer(stub, metadata, f"lock{attempt}n")
            writer.start()
            wait_for("some documents", lambda: len(writer.acknowledged) > 20)
            fill(filler)
            wait_for("STORE_FULL", lambda: writer.full)
            get = pb.GetDocumentRequest(name=document_name(writer.acknowledged[0]))
            until = time.monotonic() + 5  # several times as long as between two attempts to resume
            while time.monotonic() < until:
                assert stub.GetDocument(get, metadata=metadata, timeout=30).content
                reads += 1
            try:
                keys.LockHub(keys_pb.LockHubRequest(name=hub), metadata=key_admin, timeout=30)
            except grpc.RpcError as error:
                refused = f"{reason_of(error)} {error.details()}"
                break
            filler.unlink()  # there was room for so small a write, for a moment
            wait_for("the hub is unlocked", unlocked)
            writer.stopping.set()
            writer.join()
        assert refused.startswith(("STORE_FULL", "STORE_BUSY")) and "repeat" in refused, refused
        try:
            stub.GetDocument(get, metadata=metadata, timeout=30)
            raise AssertionError("a lock that cannot be written must be in force")
        except grpc.RpcError as dark:
            assert reason_of(dark) == "HUB_LOCKED", reason_of(dark)
        writer.stopping.set()
        filler.unlink()

        def locked() -> bool:
            try:
                status = keys.LockHub(keys_pb.LockHubRequest(name=hub), metadata=key_admin, timeout=30)
            except grpc.RpcError as error:
                assert reason_of(error) in ("STORE_FULL", "STORE_BUSY"), reason_of(error)
                return False
            return bool(status.last_receipt.keys_wiped)
        wait_for("the lock is written, with its receipt", locked)
        served.kill()
    served.start(store=STORE)
    with served.channel() as channel:
        stub, keys = services.DocumentServiceStub(channel), key_services.KeyServiceStub(channel)
        status = keys.GetKeyStatus(keys_pb.GetKeyStatusRequest(name=hub + "/key"), metadata=key_admin, timeout=30)
        assert status.availability == keys_pb.KeyStatus.LOCKED_BY_PUSH, status
        assert status.last_receipt.keys_wiped, status
        keys.UnlockHub(keys_pb.UnlockHubRequest(name=hub), metadata=key_admin, timeout=30)
        assert stub.GetDocument(get, metadata=metadata, timeout=30).content
    return f"{reads} reads while no write went through; the lock was in force at once, and outlived a kill once it was written"


def main() -> int:
    served = Served(sys.argv[1])
    disk = served.path / "data"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m,mode=0700", "none", disk],
                      check=False, capture_output=True).returncode:
        print("skipped: nothing may be mounted here")
        served.stop()
        return SKIPPED
    try:
        served.start(store=STORE)
        with served.channel() as channel:
            served.create_hub_and_project(channel)
        known = set()
        for number in range(ROUNDS):
            print(one_round(served, number, known), flush=True)
        print(lock_on_a_full_disk(served), flush=True)
    except BaseException:
        print(served.logs()[-3000:], file=sys.stderr)
        raise
    finally:
        if served.server is not None:
            served.kill()
        subprocess.run(["umount", disk], check=True)
        served.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
