#!/usr/bin/env python3
"""The whole server is killed by SIGKILL under concurrent writers over gRPC, again and again, on the same data.

After each restart: every acknowledged write is there, with its content; no refused write is; a write whose answer
never came is there whole or not at all; and the search index holds exactly the documents that a list holds.

Usage: server_kill_test.py BIN_DIR [ROUNDS]      default 50 rounds
"""
import random
import sys
import threading
import time

import grpc

from served import HUB, PROJECT, Served, document_name

WRITERS = 8


def content_of(name: str) -> bytes:
    return ('{"body": "' + name + " " + "x" * 200 + '"}').encode()


class Writer(threading.Thread):
    """Writes until the server is gone; every fifth write is a batch that must be refused as a whole."""

    def __init__(self, served: Served, stub, prefix: str):
        super().__init__()
        self.metadata, self.stub, self.prefix = served.bearer("contributor"), stub, prefix
        self.acknowledged, self.refused, self.unknown = [], [], []

    def run(self):
        from cmkstore.v1 import document_service_pb2 as pb
        number = 0
        while not self.unknown:
            number += 1
            name = f"{self.prefix}-{number}"
            document = pb.Document(name=document_name(name), content=content_of(name))
            must_fail = number % 5 == 0
            request = pb.BatchWriteDocumentsRequest(parent=HUB, writes=[pb.DocumentWrite(create=document)])
            if must_fail:
                request.writes.add(delete=document_name("never-there"))
            try:
                self.stub.BatchWriteDocuments(request, metadata=self.metadata, timeout=30)
                self.acknowledged.append(name)
            except grpc.RpcError as error:
                certain = must_fail and error.code() == grpc.StatusCode.NOT_FOUND
                (self.refused if must_fail else self.unknown).append(name)
                if not certain and must_fail:
                    return


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


def main() -> int:
    served = Served(sys.argv[1])
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 50
    chance = random.Random(20261125)
    acknowledged, refused, unknown = set(), set(), set()
    try:
        served.start()
        from cmkstore.v1 import document_service_pb2_grpc, search_service_pb2 as search_pb, search_service_pb2_grpc
        served.create_hub_and_project(served.channel())
        for round_number in range(rounds):
            channel = served.channel()
            stub = document_service_pb2_grpc.DocumentServiceStub(channel)
            writers = [Writer(served, stub, f"r{round_number}w{i}") for i in range(WRITERS)]
            for writer in writers:
                writer.start()
            time.sleep(chance.uniform(0.1, 0.5))
            served.kill()
            for writer in writers:
                writer.join()
                acknowledged.update(writer.acknowledged)
                refused.update(writer.refused)
                unknown.update(writer.unknown)
            channel.close()
            served.start()
            channel = served.channel()
            reader = served.bearer("reader")
            found = listed(document_service_pb2_grpc.DocumentServiceStub(channel), reader)
            lost = acknowledged - found.keys()
            assert not lost, f"round {round_number}: lost {sorted(lost)[:5]} of {len(acknowledged)}"
            assert not refused & found.keys(), f"round {round_number}: shows refused {sorted(refused & found.keys())[:5]}"
            strange = found.keys() - acknowledged - unknown
            assert not strange, f"round {round_number}: nobody wrote {sorted(strange)[:5]}"
            torn = [name for name, content in found.items() if content != content_of(name)]
            assert not torn, f"round {round_number}: other content in {torn[:5]}"
            search = search_service_pb2_grpc.SearchServiceStub(channel)
            answer = search.Search(search_pb.SearchRequest(parent=HUB, page_size=1), metadata=reader, timeout=60)
            assert answer.total_is_exact or len(found) > answer.total_size, answer
            if answer.total_is_exact:
                assert answer.total_size == len(found), f"{answer.total_size} indexed, {len(found)} stored"
            for name in chance.sample(sorted(found), min(5, len(found))):
                hit = search.Search(search_pb.SearchRequest(parent=HUB, query=f'"{name}"'), metadata=reader, timeout=60)
                assert document_name(name) in [h.document.name for h in hit.hits], f"{name} is not found"
            channel.close()
        assert acknowledged and refused
        print(f"{rounds} kills: {len(acknowledged)} acknowledged, 0 lost; {len(refused)} refused, 0 shown; "
              f"{len(unknown)} without an answer")
        return 0
    except BaseException:
        print(served.logs()[-3000:])
        raise
    finally:
        served.stop()


if __name__ == "__main__":
    sys.exit(main())
