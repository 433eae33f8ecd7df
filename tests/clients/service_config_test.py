#!/usr/bin/env python3
"""The gRPC service config that ships with the protos: what it says of each method, and what an ordinary client makes of it.

Usage: service_config_test.py BIN_DIR
"""
import collections
import concurrent.futures
import json
import re
import subprocess
import sys
import threading
import unittest

import grpc
from google.protobuf import descriptor_pb2

from served import ROOT, Served, document_name

CONFIG = ROOT / "proto" / "cmkstore" / "v1" / "cmkstore_grpc_service_config.json"
PROTOS = [*sorted((ROOT / "proto" / "cmkstore" / "v1").glob("*.proto")),
          ROOT / "proto" / "google" / "longrunning" / "operations.proto"]
served = None


def methods_of_protos() -> dict:
    """(service, method) → whether it streams, and its comment."""
    described = subprocess.check_output(["protoc", "-I", str(ROOT / "proto"), "--include_source_info",
                                         "--descriptor_set_out=/dev/stdout", *map(str, PROTOS)])
    found = {}
    for file in descriptor_pb2.FileDescriptorSet.FromString(described).file:
        comments = {tuple(place.path): place.leading_comments for place in file.source_code_info.location}
        for s, service in enumerate(file.service):
            for m, method in enumerate(service.method):
                found[f"{file.package}.{service.name}", method.name] = (
                    method.server_streaming, comments[6, s, 2, m])
    return found


def methods_of_config() -> dict:
    """(service, method) → its part of the config."""
    found = {}
    for part in json.loads(CONFIG.read_text(encoding="utf-8"))["methodConfig"]:
        for name in part["name"]:
            key = name["service"], name["method"]
            assert key not in found, f"named twice: {key}"
            found[key] = part
    return found


class EachMethodFailsOnce(grpc.GenericRpcHandler):
    """A server that is not there for a moment: the first call of each method is refused."""

    def __init__(self):
        self.calls = collections.Counter()
        self.lock = threading.Lock()

    def service(self, details):
        def answer(request, context):
            with self.lock:
                self.calls[details.method] += 1
                first = self.calls[details.method] == 1
            if first:
                context.abort(grpc.StatusCode.UNAVAILABLE, "a moment")
            return b""
        return grpc.unary_unary_rpc_method_handler(answer)


class ServiceConfigTest(unittest.TestCase):
    def test_names_every_method_and_no_other(self):
        self.assertEqual(sorted(methods_of_config()), sorted(methods_of_protos()))

    def test_retries_what_the_protos_call_idempotent_without_a_condition(self):
        config = methods_of_config()
        for name, (streams, comment) in methods_of_protos().items():
            idempotent = re.search(r"\bIdempotent[.:]", comment) is not None
            self.assertEqual("retryPolicy" in config[name], idempotent, name)
            self.assertEqual("timeout" in config[name], not streams, name)
            if idempotent:
                self.assertEqual(config[name]["retryPolicy"]["retryableStatusCodes"], ["UNAVAILABLE"])

    def test_a_client_repeats_those_and_no_others(self):
        handler = EachMethodFailsOnce()
        server = grpc.server(concurrent.futures.ThreadPoolExecutor(8), handlers=[handler])
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        with grpc.insecure_channel(f"127.0.0.1:{port}",
                                   options=[("grpc.service_config", CONFIG.read_text(encoding="utf-8"))]) as channel:
            calls = {name: channel.unary_unary("/%s/%s" % name).future(b"", wait_for_ready=True)
                     for name in methods_of_config()}
            for name, call in calls.items():
                retried = "retryPolicy" in methods_of_config()[name]
                self.assertEqual(call.code(), grpc.StatusCode.OK if retried else grpc.StatusCode.UNAVAILABLE, name)
                self.assertEqual(handler.calls["/%s/%s" % name], 2 if retried else 1, name)
        server.stop(None)

    def test_a_client_rides_out_a_restart_of_the_server(self):
        from cmkstore.v1 import document_service_pb2 as pb, document_service_pb2_grpc
        served.start()
        listeners = [{"address": f"127.0.0.1:{served.port}"}]
        with served.channel() as channel:
            served.create_hub_and_project(channel)
            document_service_pb2_grpc.DocumentServiceStub(channel).UpdateDocument(
                pb.UpdateDocumentRequest(document=pb.Document(name=document_name("d1"), content=b"{}"),
                                         allow_missing=True), metadata=served.bearer("owner"), timeout=120)
        get = pb.GetDocumentRequest(name=document_name("d1"))
        with served.channel() as plain, served.channel(service_config=CONFIG.read_text(encoding="utf-8")) as retrying:
            served.kill()
            calls = [document_service_pb2_grpc.DocumentServiceStub(channel).GetDocument.future(
                get, metadata=served.bearer("reader")) for channel in (plain, retrying)]
            self.assertEqual(calls[0].code(), grpc.StatusCode.UNAVAILABLE)
            served.start(listeners=listeners)
            self.assertEqual(calls[1].result().content, b"{}")


if __name__ == "__main__":
    served = Served(sys.argv.pop(1))
    try:
        unittest.main(verbosity=2)
    finally:
        served.stop()
