#!/usr/bin/env python3
"""The whole server is killed by SIGKILL under concurrent writers over gRPC, again and again, on the same data.

The writers create, update and delete, in batches. After each restart: the documents are exactly what was acknowledged,
with their content; no refused batch shows; one whose answer never came is there whole or not at all; and the search
index, read page by page, holds exactly the documents that a list holds, by the words of their last content.

Usage: server_kill_test.py BIN_DIR [ROUNDS]      default 50 rounds
"""
import random
import sys
import threading
import time

import grpc

from served import HUB, PROJECT, Served, document_name

WRITERS = 8
LEVEL_SECONDS = 60


def collection_of(name: str) -> str:
    """One for each round: what the index counts of a search is bounded."""
    return "c" + name[1:name.index("w")]


def full_name(name: str) -> str:
    return document_name(name, collection_of(name))


def word_of(name: str, version: int) -> str:
    return f"{name}v{version}"


def content_of(name: str, version: int) -> bytes:
    return ('{"body": "' + word_of(name, version) + " " + "x" * 200 + '"}').encode()


class Writer(threading.Thread):
    """Writes until the server is gone; every fifth batch must be refused as a whole.

    `versions` holds the documents that only this one writes to; absent is what is not there."""

    def __init__(self, served: Served, stub, prefix: str, versions: dict, seed: int):
        super().__init__()
        self.metadata, self.stub, self.prefix = served.bearer("contributor"), stub, prefix
        self.chance = random.Random(seed)
        self.versions, self.number = versions, 0
        self.acknowledged = self.updates = self.deletions = self.refused = 0
        self.fault = None
        self.unknown = {}  # name -> version before, version after; None: not there
        self.gone = {}     # name -> the version that was deleted

    def change(self) -> dict:
        """What the next batch is to do: name -> version before, version after."""
        changes = {}
        for _ in range(self.chance.randint(1, 3)):
            roll, there = self.chance.random(), list(self.versions)
            if roll < 0.5 or not there:
                self.number += 1
                changes[f"{self.prefix}n{self.number}"] = (None, 1)
            else:
                name = self.chance.choice(there)
                before = self.versions[name]
                changes[name] = (before, before + 1 if roll < 0.8 else None)
        return changes

    def run(self):
        from cmkstore.v1 import document_service_pb2 as pb
        for batch in range(1, sys.maxsize):
            must_fail, changes = batch % 5 == 0, self.change()
            request = pb.BatchWriteDocumentsRequest(parent=HUB)
            for name, (before, after) in changes.items():
                write = request.writes.add()
                if after is None:
                    write.delete = full_name(name)
                    continue
                document = write.create if before is None else write.update
                document.name, document.content = full_name(name), content_of(name, after)
            if must_fail:
                request.writes.add(delete=document_name("never-there"))
            try:
                self.stub.BatchWriteDocuments(request, metadata=self.metadata, timeout=30)
                if must_fail:
                    self.fault = AssertionError("a batch that must be refused was not")
                    return
                self.acknowledged += 1
                self.take(changes)
            except grpc.RpcError as error:
                if must_fail and error.code() == grpc.StatusCode.NOT_FOUND:
                    self.refused += 1
                    continue
                if not must_fail:
                    self.unknown = changes
                # Nothing but the kill may end a writer.
                if error.code() not in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED):
                    self.fault = error
                return

    def take(self, changes: dict) -> None:
        for name, (before, after) in changes.items():
            if after is None:
                self.gone[name] = self.versions.pop(name)
                self.deletions += 1
            else:
                self.versions[name] = after
                self.updates += before is not None


def listed(stub, metadata) -> dict:
    from cmkstore.v1 import document_service_pb2 as pb
    found, token = {}, ""
    while True:
        page = stub.ListDocuments(pb.ListDocumentsRequest(
            parent=f"{PROJECT}/collections/-", page_size=1000, page_token=token), metadata=metadata, timeout=30)
        found.update({d.name.rsplit("/", 1)[1]: d.content for d in page.documents})
        token = page.next_page_token
        if not token:
            return found


class Index:
    """What a search finds, once the index is level with the documents."""

    def __init__(self, stub, metadata):
        self.stub, self.metadata = stub, metadata
        give_up = time.monotonic() + LEVEL_SECONDS
        while not self.level(self.page(page_size=1)):
            assert time.monotonic() < give_up, "the index does not come level"

    @staticmethod
    def level(answer) -> bool:
        return answer.indexed_sequence >= answer.last_sequence

    def page(self, **question):
        from cmkstore.v1 import search_service_pb2 as pb
        return self.stub.Search(pb.SearchRequest(parent=HUB, **question), metadata=self.metadata, timeout=60)

    def pages(self, **question) -> list:
        names, token = [], ""
        while True:
            answer = self.page(page_size=1000, page_token=token, **question)
            names += [hit.document.name for hit in answer.hits]
            token = answer.next_page_token
            if not token:
                assert answer.total_is_exact and answer.total_size == len(names), answer.total_size
                return names


def check_documents(round_number: int, writers: list, found: dict) -> dict:
    """The versions that are there now, and all that was acknowledged; raises if there is anything else."""
    expected = {}
    for writer in writers:
        changes = writer.unknown
        done = [found.get(n) == (content_of(n, after) if after else None) for n, (_, after) in changes.items()]
        assert all(done) or not any(done), f"round {round_number}: half of the batch {changes} is there"
        if changes and all(done):
            writer.take(changes)
        expected.update(writer.versions)
    lost = expected.keys() - found.keys()
    assert not lost, f"round {round_number}: lost {sorted(lost)[:5]} of {len(expected)}"
    strange = found.keys() - expected.keys()
    assert not strange, f"round {round_number}: refused, deleted or never written: {sorted(strange)[:5]}"
    torn = [name for name, version in expected.items() if found[name] != content_of(name, version)]
    assert not torn, f"round {round_number}: other content in {torn[:5]}"
    return expected


def check_index(index: Index, versions: dict, gone: dict, chance: random.Random) -> None:
    collections = {}
    for name in versions:
        collections.setdefault(collection_of(name), set()).add(full_name(name))
    for collection, names in collections.items():
        indexed = index.pages(filter=f'collection = "{collection}"')
        assert len(indexed) == len(set(indexed)), f"{collection}: a document is in the index twice"
        assert set(indexed) == names, f"{collection}: {sorted(set(indexed) ^ names)[:5]}"
    assert index.page(page_size=1).total_size == min(len(versions), 10_000)
    for name in chance.sample(sorted(versions), min(5, len(versions))):
        assert index.pages(query=word_of(name, versions[name])) == [full_name(name)], f"{name} is not found"
        if versions[name] > 1:
            assert not index.pages(query=word_of(name, versions[name] - 1)), f"{name} is found by what it was"
    for name in chance.sample(sorted(gone), min(5, len(gone))):
        assert not index.pages(query=word_of(name, gone[name])), f"{name} is deleted and found"


def main() -> int:
    served = Served(sys.argv[1])
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 50
    chance = random.Random(20261125)
    versions, gone = {}, {}
    acknowledged = updates = deletions = refused = unanswered = 0
    try:
        served.start()
        from cmkstore.v1 import document_service_pb2_grpc, search_service_pb2_grpc
        served.create_hub_and_project(served.channel())
        for round_number in range(rounds):
            channel = served.channel()
            stub = document_service_pb2_grpc.DocumentServiceStub(channel)
            shares = [{n: v for k, (n, v) in enumerate(versions.items()) if k % WRITERS == i} for i in range(WRITERS)]
            writers = [Writer(served, stub, f"r{round_number}w{i}", shares[i], chance.randrange(2 ** 32))
                       for i in range(WRITERS)]
            for writer in writers:
                writer.start()
            time.sleep(chance.uniform(0.1, 0.5))
            served.kill()
            for writer in writers:
                writer.join()
                if writer.fault:
                    raise writer.fault
            channel.close()
            served.start()
            channel = served.channel()
            reader = served.bearer("reader")
            found = listed(document_service_pb2_grpc.DocumentServiceStub(channel), reader)
            versions = check_documents(round_number, writers, found)
            for writer in writers:
                gone.update(writer.gone)
                acknowledged += writer.acknowledged
                updates += writer.updates
                deletions += writer.deletions
                refused += writer.refused
                unanswered += bool(writer.unknown)
            check_index(Index(search_service_pb2_grpc.SearchServiceStub(channel), reader), versions, gone, chance)
            channel.close()
        assert acknowledged and updates and deletions and refused
        print(f"{rounds} kills: {acknowledged} batches acknowledged, 0 lost; {updates} updates, {deletions} deletions; "
              f"{refused} refused, 0 shown; {unanswered} without an answer; {len(versions)} documents, all in the index")
        return 0
    except BaseException:
        print(served.logs()[-3000:])
        raise
    finally:
        served.stop()


if __name__ == "__main__":
    sys.exit(main())
