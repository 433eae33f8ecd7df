#!/usr/bin/env python3
"""The main job by an ordinary Python client over mutual TLS, errors decoded by its own google.rpc code.

Usage: python_client_test.py BIN_DIR
"""
import sys
import unittest

import grpc

from served import HUB, PROJECT, Served, document_name

served = None


def details(error: grpc.RpcError) -> dict:
    """google.rpc.Status from the trailing metadata, as grpcio-status reads it: detail type → message."""
    from google.rpc import error_details_pb2, status_pb2
    raw = dict(error.trailing_metadata())["grpc-status-details-bin"]
    status = status_pb2.Status.FromString(raw)
    assert status.code == error.code().value[0] and status.message == error.details()
    found = {}
    for packed in status.details:
        message = getattr(error_details_pb2, packed.TypeName().removeprefix("google.rpc."))()
        assert packed.Unpack(message)
        found[type(message).__name__] = message
    return found


class PythonClientTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        from cmkstore.v1 import document_service_pb2_grpc, key_service_pb2_grpc, search_service_pb2_grpc
        cls.channel = served.channel()
        served.create_hub_and_project(cls.channel)
        cls.documents = document_service_pb2_grpc.DocumentServiceStub(cls.channel)
        cls.search = search_service_pb2_grpc.SearchServiceStub(cls.channel)
        cls.keys = key_service_pb2_grpc.KeyServiceStub(cls.channel)

    def call(self, method, request, role="contributor"):
        return method(request, metadata=served.bearer(role), timeout=30)

    def refusal(self, method, request, role="contributor"):
        with self.assertRaises(grpc.RpcError) as raised:
            self.call(method, request, role)
        return raised.exception, details(raised.exception)

    def put(self, document: str, content: bytes):
        from cmkstore.v1 import document_service_pb2 as pb
        return self.call(self.documents.UpdateDocument, pb.UpdateDocumentRequest(
            document=pb.Document(name=document_name(document), content=content, labels={"stage": "prod"}),
            allow_missing=True))

    def test_stores_reads_and_searches(self):
        from cmkstore.v1 import document_service_pb2 as pb, search_service_pb2 as search_pb
        stored = self.put("d1", b'{"title": "answers questions of shop customers"}')
        read = self.call(self.documents.GetDocument, pb.GetDocumentRequest(name=document_name("d1")), "reader")
        self.assertEqual(read.content, b'{"title": "answers questions of shop customers"}')
        self.assertEqual(read.etag, stored.etag)
        found = self.call(self.search.Search, search_pb.SearchRequest(
            parent=HUB, query="shop", facets=["labels.stage"], min_sequence=stored.sequence), "reader")
        self.assertEqual([hit.document.name for hit in found.hits], [document_name("d1")])
        self.assertEqual([(v.value, v.count) for v in found.facets[0].values], [("prod", 1)])

    def test_follows_changes(self):
        from cmkstore.v1 import document_service_pb2 as pb
        stored = self.put("followed", b"{}")
        stream = self.call(self.documents.WatchDocuments, pb.WatchDocumentsRequest(
            parent=PROJECT, after_sequence=stored.sequence - 1), "reader")
        part = next(stream)
        stream.cancel()
        self.assertEqual(part.changes[0].document.name, document_name("followed"))

    def test_decodes_what_was_wrong_with_a_request(self):
        from cmkstore.v1 import document_service_pb2 as pb
        error, found = self.refusal(self.documents.UpdateDocument, pb.UpdateDocumentRequest(
            document=pb.Document(name=document_name("d2"), labels={"k": "v" * 257}), allow_missing=True))
        self.assertEqual(error.code(), grpc.StatusCode.INVALID_ARGUMENT)
        self.assertEqual((found["ErrorInfo"].reason, found["ErrorInfo"].domain), ("FIELD_INVALID", "cmkstore"))
        self.assertEqual(found["BadRequest"].field_violations[0].field, "document.labels")
        self.assertRegex(found["RequestInfo"].request_id, "^[0-9a-f]{16}$")

    def test_decodes_the_refusal_of_a_caller_who_was_not_let_in(self):
        from cmkstore.v1 import document_service_pb2 as pb
        with self.assertRaises(grpc.RpcError) as raised:
            self.documents.GetDocument(pb.GetDocumentRequest(name=document_name("d1")), timeout=30)
        found = details(raised.exception)
        self.assertEqual(raised.exception.code(), grpc.StatusCode.UNAUTHENTICATED)
        self.assertEqual(found["ErrorInfo"].reason, "TOKEN_INVALID")
        self.assertRegex(found["RequestInfo"].request_id, "^[0-9a-f]{16}$")

    def test_decodes_the_failed_checks_of_a_key(self):
        from cmkstore.v1 import hub_service_pb2 as pb, hub_service_pb2_grpc
        served.vault_call("POST", "/keys/no-unwrap/create", {"kty": "RSA", "key_size": 2048, "key_ops": ["wrapKey"]})
        request = pb.CreateHubRequest(parent=HUB.rsplit("/", 2)[0], hub_id="h2")
        request.hub.encryption.customer_managed.vault_uri = served.ready["url"]
        request.hub.encryption.customer_managed.key_name = "no-unwrap"
        error, found = self.refusal(hub_service_pb2_grpc.HubServiceStub(self.channel).CreateHub, request, "owner")
        self.assertEqual(error.code(), grpc.StatusCode.FAILED_PRECONDITION)
        self.assertEqual(found["ErrorInfo"].reason, "CUSTOMER_KEY_UNFIT")
        self.assertIn("key_ops", [v.subject for v in found["PreconditionFailure"].violations])

    def test_lock_and_unlock(self):
        from cmkstore.v1 import document_service_pb2 as pb, key_service_pb2 as key_pb
        self.put("locked", b"{}")
        self.call(self.keys.LockHub, key_pb.LockHubRequest(name=HUB), "key_admin")
        _, found = self.refusal(self.documents.GetDocument, pb.GetDocumentRequest(name=document_name("locked")), "reader")
        self.assertEqual(found["ErrorInfo"].reason, "HUB_LOCKED")
        self.call(self.keys.UnlockHub, key_pb.UnlockHubRequest(name=HUB), "key_admin")
        self.call(self.documents.GetDocument, pb.GetDocumentRequest(name=document_name("locked")), "reader")

    def test_a_caller_without_a_certificate_gets_no_stream(self):
        from cmkstore.v1 import document_service_pb2 as pb, document_service_pb2_grpc
        stub = document_service_pb2_grpc.DocumentServiceStub(served.channel(with_certificate=False))
        with self.assertRaises(grpc.RpcError) as raised:
            stub.GetDocument(pb.GetDocumentRequest(name=document_name("d1")), metadata=served.bearer("reader"), timeout=10)
        self.assertEqual(raised.exception.code(), grpc.StatusCode.UNAVAILABLE)
        self.assertNotIn("grpc-status-details-bin", dict(raised.exception.trailing_metadata() or ()))


if __name__ == "__main__":
    served = Served(sys.argv.pop(1))
    try:
        served.start()
        unittest.main(verbosity=2)
    finally:
        served.stop()
