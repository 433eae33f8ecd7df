// Every method of every service that the server says it has, once on its good path. A method that
// has no row here fails.

#include <google/protobuf/descriptor.h>
#include <google/protobuf/dynamic_message.h>
#include <google/protobuf/text_format.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/support/byte_buffer.h>

#include <set>

#include "absl/strings/str_replace.h"
#include "google/longrunning/operations.grpc.pb.h"
#include "grpc/reflection/v1alpha/reflection.grpc.pb.h"
#include "tests/e2e/backup_fixture.h"

namespace cmkstore {
namespace {

using google::protobuf::Message;
using google::protobuf::MethodDescriptor;

struct Row {
  std::string method;
  std::string request;  // text format; HUB, PROJECT, COLLECTION, VAULT, OPERATION, BACKUP, SEQUENCE
                        // filled in
  std::string answer;   // what the answer's text format must have in it
};

// In an order in which each finds what it needs.
const Row kRows[] = {
    // Into a server that has no hubs yet.
    {"cmkstore.v1.AdminService.Backup", "", "server/operations/"},
    {"cmkstore.v1.AdminService.ListBackups", "", "name: \"BACKUP\""},
    {"cmkstore.v1.AdminService.GetBackup", "name: 'BACKUP'", "shards: 2"},
    {"cmkstore.v1.AdminService.VerifyIntegrity", "backup: 'BACKUP'", "server/operations/"},
    {"cmkstore.v1.AdminService.Restore", "name: 'BACKUP'", "server/operations/"},
    {"cmkstore.v1.AdminService.DeleteBackup", "name: 'BACKUP'", ""},
    {"cmkstore.v1.HubService.CreateHub",
     "parent: 'TENANT' hub_id: 'h1' hub { display_name: 'one' encryption { customer_managed { "
     "vault_uri: 'VAULT' key_name: 'k1' } } }",
     "state: ACTIVE"},
    {"cmkstore.v1.HubService.GetHub", "name: 'HUB'", "state: ACTIVE"},
    {"cmkstore.v1.HubService.ListHubs", "parent: 'TENANT'", "hubs {"},
    {"cmkstore.v1.HubService.UpdateHub",
     "hub { name: 'HUB' display_name: 'two' } update_mask { paths: 'display_name' }",
     "display_name: \"two\""},
    {"cmkstore.v1.ProjectService.CreateProject",
     "parent: 'HUB' project_id: 'p1' project { display_name: 'mine' }", "name: \"PROJECT\""},
    {"cmkstore.v1.ProjectService.GetProject", "name: 'PROJECT'", "display_name: \"mine\""},
    {"cmkstore.v1.ProjectService.ListProjects", "parent: 'HUB'", "projects {"},
    {"cmkstore.v1.ProjectService.UpdateProject",
     "project { name: 'PROJECT' display_name: 'ours' } update_mask { paths: 'display_name' }",
     "display_name: \"ours\""},
    {"cmkstore.v1.DocumentService.CreateDocument",
     "parent: 'COLLECTION' document_id: 'd1' document { content: '{\"word\": \"nightly\"}' }",
     "revision: 1"},
    {"cmkstore.v1.DocumentService.GetDocument", "name: 'COLLECTION/documents/d1'", "nightly"},
    {"cmkstore.v1.DocumentService.UpdateDocument",
     "document { name: 'COLLECTION/documents/d1' content: '{\"word\": \"weekly\"}' }",
     "revision: 2"},
    {"cmkstore.v1.DocumentService.BatchWriteDocuments",
     "parent: 'HUB' writes { upsert { name: 'COLLECTION/documents/d2' content: '{}' } }",
     "documents {"},
    {"cmkstore.v1.DocumentService.BatchGetDocuments",
     "parent: 'HUB' names: 'COLLECTION/documents/d1' names: 'COLLECTION/documents/d2'", "weekly"},
    {"cmkstore.v1.DocumentService.ListDocuments", "parent: 'COLLECTION'",
     "name: \"COLLECTION/documents/d2\""},
    {"cmkstore.v1.DocumentService.WatchDocuments", "parent: 'HUB'", "changes {"},
    {"cmkstore.v1.SearchService.Search", "parent: 'HUB' query: 'weekly' min_sequence: SEQUENCE",
     "COLLECTION/documents/d1"},
    {"cmkstore.v1.SearchService.GetSearchIndex", "name: 'HUB/searchIndex'", "state: SERVING"},
    {"cmkstore.v1.SearchService.RebuildSearchIndex", "name: 'HUB/searchIndex'", "/operations/"},
    {"cmkstore.v1.KeyService.GetKeyStatus", "name: 'HUB/key'", "availability: AVAILABLE"},
    {"cmkstore.v1.KeyService.CheckKey", "parent: 'HUB'", "result: PASSED"},
    {"cmkstore.v1.KeyService.LockHub", "name: 'HUB'", "last_receipt {"},
    {"cmkstore.v1.KeyService.UnlockHub", "name: 'HUB'", "generations {"},
    {"cmkstore.v1.KeyService.GetVaultUsage", "parent: 'TENANT'", "vaults {"},
    {"cmkstore.v1.UsageService.QueryUsage", "parent: 'HUB'", ""},
    {"cmkstore.v1.KeyService.GetEncryptionCoverage", "name: 'HUB/encryptionCoverage'",
     "hub_state: ACTIVE"},
    {"cmkstore.v1.KeyService.RotateDek", "name: 'HUB'", "/operations/"},
    {"google.longrunning.Operations.GetOperation", "name: 'OPERATION'", "rotate-dek"},
    {"google.longrunning.Operations.WaitOperation", "name: 'OPERATION'", "done: true"},
    {"google.longrunning.Operations.ListOperations", "name: 'HUB'", "operations {"},
    {"google.longrunning.Operations.CancelOperation", "name: 'OPERATION'", ""},
    {"google.longrunning.Operations.DeleteOperation", "name: 'OPERATION'", ""},
    {"cmkstore.v1.DocumentService.DeleteDocument", "name: 'COLLECTION/documents/d1'", "sequence:"},
    {"cmkstore.v1.ProjectService.DeleteProject", "name: 'PROJECT' force: true", ""},
    {"cmkstore.v1.HubService.DeleteHub", "name: 'HUB'", "state: DELETED"},
    {"cmkstore.v1.HubService.UndeleteHub", "name: 'HUB'", "state: ACTIVE"},
    {"grpc.health.v1.Health.Check", "service: 'cmkstore.v1.HubService'", "status: SERVING"},
    {"grpc.health.v1.Health.Watch", "service: 'cmkstore.v1.HubService'", "status: SERVING"},
    {"grpc.reflection.v1alpha.ServerReflection.ServerReflectionInfo",
     "file_containing_symbol: 'cmkstore.v1.Hub'", "file_descriptor_proto"},
};

class MethodsTest : public BackupFixture {
 protected:
  static const google::protobuf::DescriptorPool& Pool() {
    return *google::protobuf::DescriptorPool::generated_pool();
  }
  static std::unique_ptr<Message> Make(const google::protobuf::Descriptor* type) {
    auto& factory = *google::protobuf::MessageFactory::generated_factory();
    return std::unique_ptr<Message>(factory.GetPrototype(type)->New());
  }

  // What the server itself says that it serves.
  std::set<std::string> ServedMethods() {
    auto context = As("owner");
    auto stream =
        grpc::reflection::v1alpha::ServerReflection::NewStub(channel_)->ServerReflectionInfo(
            context.get());
    grpc::reflection::v1alpha::ServerReflectionRequest ask;
    ask.set_list_services("*");
    grpc::reflection::v1alpha::ServerReflectionResponse answer;
    EXPECT_TRUE(stream->Write(ask) && stream->Read(&answer));
    stream->WritesDone();
    EXPECT_TRUE(stream->Finish().ok());
    std::set<std::string> methods;
    for (const auto& one : answer.list_services_response().service()) {
      const auto* service = Pool().FindServiceByName(one.name());
      for (int i = 0; service != nullptr && i < service->method_count(); ++i) {
        methods.insert(service->method(i)->full_name());
      }
    }
    return methods;
  }

  // One request, one answer; a stream is left after its first.
  grpc::Status Call(const MethodDescriptor& method, const Message& request, Message& answer) {
    grpc::CompletionQueue queue;
    const auto done = [&queue] {
      void* tag = nullptr;
      bool ok = false;
      return queue.Next(&tag, &ok) && ok;
    };
    const bool admin = method.service()->name() == "AdminService";
    auto context = As(admin ? "operator" : "owner");
    grpc::GenericStub stub(channel_);
    auto call = stub.PrepareCall(
        context.get(), absl::StrCat("/", method.service()->full_name(), "/", method.name()),
        &queue);
    const grpc::Slice slice(request.SerializeAsString());
    const grpc::ByteBuffer bytes(&slice, 1);
    grpc::ByteBuffer received;
    call->StartCall(&queue);
    const bool sent = done();
    call->Write(bytes, &queue);
    bool answered = sent && done();
    if (!method.client_streaming()) {
      call->WritesDone(&queue);
      done();
    }
    call->Read(&received, &queue);
    answered = done() && answered;
    if (method.server_streaming()) context->TryCancel();
    grpc::Status status;
    call->Finish(&status, &queue);
    done();
    if (!answered) return status;
    std::vector<grpc::Slice> slices;
    received.Dump(&slices);
    std::string text;
    for (const grpc::Slice& one : slices) {
      text.append(reinterpret_cast<const char*>(one.begin()), one.size());
    }
    EXPECT_TRUE(answer.ParseFromString(text));
    return method.server_streaming() ? grpc::Status::OK : status;
  }

  std::string FilledIn(const std::string& text) {
    return absl::StrReplaceAll(text, {{"TENANT", absl::StrCat("tenants/", kTenant)},
                                      {"HUB", kHub},
                                      {"PROJECT", kProject},
                                      {"COLLECTION", absl::StrCat(kProject, "/collections/c")},
                                      {"VAULT", vault_->endpoints().url},
                                      {"OPERATION", operation_},
                                      {"BACKUP", backup_},
                                      {"SEQUENCE", absl::StrCat(sequence_)}});
  }

  std::string operation_, backup_;
  uint64_t sequence_ = 0;
};

TEST_F(MethodsTest, EveryMethodAnswers) {
  std::set<std::string> rows;
  for (const Row& row : kRows) {
    SCOPED_TRACE(row.method);
    EXPECT_TRUE(rows.insert(row.method).second);
    const MethodDescriptor* method = Pool().FindMethodByName(row.method);
    ASSERT_NE(method, nullptr);
    const auto request = Make(method->input_type()), answer = Make(method->output_type());
    ASSERT_TRUE(
        google::protobuf::TextFormat::ParseFromString(FilledIn(row.request), request.get()));
    const grpc::Status status = Call(*method, *request, *answer);
    ASSERT_EQ(ReasonOf(status), "OK") << status.error_message();
    EXPECT_NE(answer->DebugString().find(FilledIn(row.answer)), std::string::npos)
        << answer->DebugString();
    if (row.answer == "server/operations/") {  // the server does one at a time
      const auto ended = Await(static_cast<google::longrunning::Operation&>(*answer));
      ASSERT_FALSE(ended.has_error()) << ended.error().message();
      v1::Backup backup;
      if (ended.response().UnpackTo(&backup)) backup_ = backup.name();
    }
    if (row.method == "cmkstore.v1.DocumentService.BatchWriteDocuments") {
      sequence_ = static_cast<v1::BatchWriteDocumentsResponse&>(*answer).sequence();
    }
    if (row.method == "cmkstore.v1.KeyService.RotateDek") {
      operation_ = static_cast<google::longrunning::Operation&>(*answer).name();
    }
  }
  EXPECT_EQ(rows, ServedMethods()) << "each method that is served needs one row";
}

}  // namespace
}  // namespace cmkstore
