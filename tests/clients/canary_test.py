#!/usr/bin/env python3
"""Nothing that a caller supplies is readable at rest: canaries go through every field of every method, and none of
them is found in the data directory, in the log at its most talkative level, in the metrics, on the status page, or in
what a refused caller is told.

Methods and fields are enumerated by reflection over the descriptors, so that a new one cannot be forgotten: it is
filled with a canary, or it stands in FIXED with its reason, or this test fails.

Usage: canary_test.py BIN_DIR
"""
import importlib
import pathlib
import sys
import time
import uuid

import grpc

from served import HUB, PROJECT, ROOT, TENANT, Served

CANARY = "KanarienvogelXQ"
COLLECTION = f"{PROJECT}/collections/{CANARY}-collection"
DOCUMENT = f"{COLLECTION}/documents/{CANARY}-document"
SEARCH_INDEX, KEY = f"{HUB}/searchIndex", f"{HUB}/key"
UUIDS = [str(uuid.UUID(int=0xC0FFEE00_0000_4000_8000_000000000000 + i)) for i in range(40)]

# Fields that must hold something in particular, so that the call is accepted. Where a canary can be part of it, it is.
FIXED = {
    # Names: hub and project ids are public, what comes behind them is not.
    "CreateHubRequest.parent": f"tenants/{TENANT}", "CreateHubRequest.hub_id": "h1",
    "ListHubsRequest.parent": f"tenants/{TENANT}", "CheckKeyRequest.parent": HUB,
    "QueryUsageRequest.parent": HUB,
    "GetBackupRequest.name": lambda served: served.backup, "RestoreRequest.name": lambda served: served.backup,
    "DeleteBackupRequest.name": lambda served: served.backup,
    "VerifyIntegrityRequest.backup": lambda served: served.backup,
    "GetVaultUsageRequest.parent": f"tenants/{TENANT}",
    "CreateProjectRequest.parent": HUB, "CreateProjectRequest.project_id": "p1", "ListProjectsRequest.parent": HUB,
    "CreateDocumentRequest.parent": COLLECTION, "CreateDocumentRequest.document_id": f"{CANARY}-document",
    "ListDocumentsRequest.parent": COLLECTION, "BatchGetDocumentsRequest.parent": HUB,
    "BatchGetDocumentsRequest.names": [DOCUMENT, f"{DOCUMENT}-absent"], "BatchWriteDocumentsRequest.parent": HUB,
    "WatchDocumentsRequest.parent": PROJECT, "SearchRequest.parent": PROJECT,
    "DocumentWrite.delete": f"{DOCUMENT}-batch",
    "Hub.name": HUB, "Project.name": PROJECT, "Document.name": DOCUMENT,
    "GetEncryptionCoverageRequest.name": f"{HUB}/encryptionCoverage",
    "GetKeyStatusRequest.name": KEY, "GetSearchIndexRequest.name": SEARCH_INDEX,
    "RebuildSearchIndexRequest.name": SEARCH_INDEX, "ListOperationsRequest.name": HUB,
    # Needed before the hub's key is at hand: which key that is, and from where one may call.
    "CustomerManagedKey.vault_uri": lambda served: served.ready["url"], "CustomerManagedKey.key_name": "k1",
    "CustomerManagedKey.key_version": "", "CustomerManagedKey.identity": "",
    "Hub.allowed_ip_ranges": ["127.0.0.0/8", "::1/128"],
    # Of another syntax.
    "Document.content": ('{"words": "' + CANARY + ' words"}').encode(),
    "Document.content_type": f"application/json; note={CANARY}",
    "SearchRequest.query": CANARY, "SearchRequest.filter": f'labels.{CANARY} = "{CANARY}"',
    "SearchRequest.order_by": f"labels.{CANARY} desc", "SearchRequest.facets": [f"labels.{CANARY}"],
    "ListOperationsRequest.filter": "",
    # Told by the server, and bound to what it was told for.
    "page_token": "", "etag": "",
}
MASKS = {"UpdateHub": ["display_name", "allowed_ip_ranges"], "UpdateProject": ["display_name"], "UpdateDocument": []}
BY_NAME = {"Project": PROJECT, "Document": DOCUMENT, "Hub": HUB}
# Every method, in an order in which all of them are accepted.
ORDER = """AdminService.Backup AdminService.ListBackups AdminService.GetBackup AdminService.VerifyIntegrity AdminService.Restore
    AdminService.DeleteBackup
    HubService.CreateHub HubService.GetHub HubService.ListHubs HubService.UpdateHub
    ProjectService.CreateProject ProjectService.GetProject ProjectService.ListProjects ProjectService.UpdateProject
    DocumentService.CreateDocument DocumentService.GetDocument DocumentService.UpdateDocument
    DocumentService.BatchWriteDocuments DocumentService.BatchGetDocuments DocumentService.ListDocuments
    DocumentService.WatchDocuments SearchService.Search SearchService.GetSearchIndex SearchService.RebuildSearchIndex
    KeyService.GetKeyStatus KeyService.CheckKey KeyService.RotateDek KeyService.LockHub KeyService.UnlockHub
    UsageService.QueryUsage KeyService.GetVaultUsage KeyService.GetEncryptionCoverage
    Operations.ListOperations Operations.GetOperation Operations.WaitOperation Operations.CancelOperation
    Operations.DeleteOperation
    DocumentService.DeleteDocument ProjectService.DeleteProject HubService.DeleteHub HubService.UndeleteHub""".split()


class Filler:
    def __init__(self, served: Served, method: str, hostile: bool):
        self.served, self.method, self.hostile = served, method, hostile
        self.filled = set()

    def fill(self, message, depth: int = 0):
        for field in message.DESCRIPTOR.fields:
            self.set(message, field, depth)
        return message

    def fixed(self, message, field):
        owner = message.DESCRIPTOR.name
        if owner == "FieldMask":
            return MASKS.get(self.method, [])
        for key in (f"{owner}.{field.name}", field.name):
            if key in FIXED:
                value = FIXED[key]
                return value(self.served) if callable(value) else value
        if field.name == "name" and owner.endswith("Request"):
            for kind, name in BY_NAME.items():
                if owner in (f"Get{kind}Request", f"Delete{kind}Request", f"Undelete{kind}Request"):
                    return name
            return self.served.operation if "Operation" in owner else HUB
        if field.name == "request_id":
            return UUIDS[[m.split(".")[1] for m in ORDER].index(self.method)]
        return None

    def set(self, message, field, depth: int):
        text = field.type in (field.TYPE_STRING, field.TYPE_BYTES)
        is_map = field.message_type is not None and field.message_type.GetOptions().map_entry
        if text:
            value = None if self.hostile else self.fixed(message, field)
            if value is None:
                canary = f"{CANARY}-{field.name}" if not self.hostile else f"{CANARY} '\"/{field.name}"
                value = canary.encode() if field.type == field.TYPE_BYTES else canary
                value = [value] if field.label == field.LABEL_REPEATED else value
                self.filled.add(f"{message.DESCRIPTOR.name}.{field.name}")
            if field.label == field.LABEL_REPEATED:
                getattr(message, field.name).extend(value)
            elif field.containing_oneof is None or self.hostile or field.containing_oneof.name != "write":
                setattr(message, field.name, value)
        elif is_map:
            getattr(message, field.name)[CANARY] = CANARY
            self.filled.add(f"{message.DESCRIPTOR.name}.{field.name}")
        elif field.message_type is not None and depth < 5:
            if field.message_type.full_name.startswith("google.protobuf.") and field.message_type.name != "FieldMask":
                return
            if field.name == "platform_managed" or (field.containing_oneof and field.name in ("create", "update")):
                return
            if field.label == field.LABEL_REPEATED:
                self.fill(getattr(message, field.name).add(), depth + 1)
            else:
                child = getattr(message, field.name)
                child.SetInParent()
                self.fill(child, depth + 1)


def services():
    """All that the protos of this repository declare, but health and reflection: they take no customer content."""
    for proto in sorted((ROOT / "proto").rglob("*.proto")):
        path = proto.relative_to(ROOT / "proto")
        if path.parts[0] == "grpc" or "storage" in path.parts:
            continue
        module = importlib.import_module(".".join(path.with_suffix("").parts) + "_pb2")
        yield from module.DESCRIPTOR.services_by_name.values()


def call(channel, service, method, request, served, role="owner"):
    from google.protobuf import message_factory
    answer_class = message_factory.MessageFactory().GetPrototype(method.output_type)
    path = f"/{service.full_name}/{method.name}"
    kind = channel.unary_stream if method.name == "WatchDocuments" else channel.unary_unary
    stub = kind(path, request_serializer=lambda m: m.SerializeToString(), response_deserializer=answer_class.FromString)
    if method.name == "WatchDocuments":
        stream = stub(request, metadata=served.bearer(role), timeout=20)
        answer = next(stream)
        stream.cancel()
        return answer
    return stub(request, metadata=served.bearer(role), timeout=30)


def await_servers(channel, methods, operation, served) -> None:
    """Waits for an operation of the server's own; one that made a backup names it."""
    from cmkstore.v1 import admin_service_pb2
    service, method = methods["Operations.WaitOperation"]
    from google.longrunning import operations_pb2
    while not operation.done:
        wait = operations_pb2.WaitOperationRequest(name=operation.name)
        operation = call(channel, service, method, wait, served, "operator")
    assert not operation.HasField("error"), operation.error.message
    backup = admin_service_pb2.Backup()
    if operation.response.Unpack(backup):
        served.backup = backup.name


def text_fields(message, seen=None):
    seen = seen if seen is not None else set()
    if message.full_name in seen or message.full_name.startswith("google.protobuf."):
        return
    seen.add(message.full_name)
    for field in message.fields:
        if field.type in (field.TYPE_STRING, field.TYPE_BYTES):
            yield f"{message.name}.{field.name}"
        elif field.message_type is not None and field.message_type.GetOptions().map_entry:
            yield f"{message.name}.{field.name}"
        elif field.message_type is not None:
            yield from text_fields(field.message_type, seen)


TEXT_NEEDLES = [CANARY.encode()] + [u.encode() for u in UUIDS]


def find_canaries(path: pathlib.Path) -> list:
    needles = TEXT_NEEDLES + [uuid.UUID(u).bytes for u in UUIDS]
    found = []
    for file in path.rglob("*"):
        if file.is_file():
            content = file.read_bytes()
            found += [f"{file.relative_to(path)}: {needle!r}" for needle in needles if needle in content]
    return found


def main() -> int:
    served = Served(sys.argv[1])
    try:
        served.start(log={"level": "trace"}, operator_tenant=TENANT, backup={"directory": served._folder("backups")})
        from google.protobuf import message_factory
        channel = served.channel()
        methods = {f"{s.name}.{m.name}": (s, m) for s in services() for m in s.methods}
        assert set(methods) == set(ORDER), f"not in ORDER: {set(methods) ^ set(ORDER)}"
        wanted, filled, texts = set(), set(), []
        for name in ORDER:
            service, method = methods[name]
            make = message_factory.MessageFactory().GetPrototype(method.input_type)
            filler = Filler(served, method.name, hostile=False)
            request = filler.fill(make())
            if name.endswith("UpdateHub"):
                request.hub.encryption.Clear()
            if hasattr(request, "allow_missing"):
                request.allow_missing = True
            if hasattr(request, "force"):
                request.force = True
            if name.endswith("BatchWriteDocuments"):
                request.writes[0].upsert.name = f"{DOCUMENT}-batch"
                request.writes.add().create.CopyFrom(request.writes[0].upsert)
                request.writes[1].create.name = f"{DOCUMENT}-batch-created"
                request.writes.add().update.CopyFrom(request.writes[0].upsert)
                request.writes[2].update.name = DOCUMENT
                removal = type(request)(parent=HUB)
                removal.writes.add().delete = f"{DOCUMENT}-batch-created"
            if name == "SearchService.Search":
                request.min_sequence = sequence
            try:
                answer = call(channel, service, method, request, served,
                              "operator" if service.name == "AdminService" else "owner")
            except grpc.RpcError as error:
                raise AssertionError(f"{name} was not accepted: {error.details()}") from error
            if name.endswith("BatchWriteDocuments"):
                sequence = call(channel, service, method, removal, served).sequence
            if method.output_type.name == "Operation" and service.name == "AdminService":
                await_servers(channel, methods, answer, served)
            if name == "KeyService.RotateDek":
                served.operation = answer.name
            if name == "SearchService.Search":
                give_up = time.monotonic() + 20  # the index gathers changes for a moment
                while not answer.hits and time.monotonic() < give_up:
                    time.sleep(0.05)
                    answer = call(channel, service, method, request, served)
                assert len(answer.hits) >= 1, "the canary must be in the index, or its absence proves nothing"
            wanted.update(text_fields(method.input_type))
            filled.update(filler.filled)
            # The same with canaries in place of everything: refused, and nobody else hears of it.
            hostile = Filler(served, method.name, hostile=True).fill(make())
            for role in ("reader", "owner"):
                try:
                    call(channel, service, method, hostile, served, role)
                except (grpc.RpcError, StopIteration) as error:
                    told = error.trailing_metadata() if isinstance(error, grpc.RpcError) else ()
                    texts.append((name, f"{getattr(error, 'details', str)()} {told}"))
        fixed = {key for key in wanted if key in FIXED or key.split(".")[1] in FIXED
                 or key.split(".")[1] in ("request_id", "name")}
        forgotten = wanted - filled - fixed
        assert not forgotten, f"neither filled with a canary nor in FIXED: {sorted(forgotten)}"
        assert len(filled) >= 10, sorted(filled)
        leaks = [(name, text) for name, text in texts if CANARY in text]
        assert not leaks, f"a status shows what a request held: {leaks[:3]}"
        call(channel, *methods["HubService.GetHub"],
             message_factory.MessageFactory().GetPrototype(methods["HubService.GetHub"][1].input_type)(name=HUB), served)
        pages = {path: served.admin_page(path) for path in ("/metrics", "/statusz", "/readyz")}
        assert 'method="CreateDocument"' in pages["/metrics"] and "shards" in pages["/statusz"], "no pages to look into"
        shown = [path for path, text in pages.items() if any(n.decode() in text for n in TEXT_NEEDLES)]
        assert not shown, f"a canary is on {shown}"
        live = find_canaries(served.path / "data")
        served.server.terminate()
        served.server.wait(timeout=60)
        found = live + find_canaries(served.path / "data")
        assert not found, f"{len(found)} canaries at rest: {found[:5]}"
        log = (served.path / "server.log").read_text(errors="replace")
        assert "hub_created" in log and '"event":"vault_call"' in log, "no log to look into, or not at trace level"
        assert not any(n.decode() in log for n in TEXT_NEEDLES), "a canary is in the log"
        # A control: what is public by contract is found, so the search does find things.
        assert any(b"https://localhost" in f.read_bytes() for f in (served.path / "data" / "shards").rglob("*") if f.is_file())
        print(f"{len(ORDER)} methods, {len(filled)} fields with canaries, {len(texts)} refusals, none found")
        return 0
    except BaseException:
        print(served.logs()[-2000:])
        raise
    finally:
        served.stop()


if __name__ == "__main__":
    sys.exit(main())
