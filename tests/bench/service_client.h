#pragma once

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "cmkstore/v1/document_service.grpc.pb.h"
#include "cmkstore/v1/hub_service.grpc.pb.h"
#include "cmkstore/v1/project_service.grpc.pb.h"
#include "cmkstore/v1/search_service.grpc.pb.h"
#include "tests/bench/corpus.h"

namespace cmkstore::bench {

// A caller of one server, with the tokens that its development mode has minted. Blocking calls that
// prepare what the cases need. Errors: INTERNAL with what the server said.
class ServiceClient {
 public:
  // `credentials`: the server's DATA_DIR/dev.
  ServiceClient(std::shared_ptr<grpc::Channel> channel, const std::string& credentials,
                const std::string& tenant);

  std::string HubName(const std::string& hub) const;
  std::string ProjectName(const std::string& hub) const;
  // With a project "p".
  absl::Status CreateHub(const std::string& hub, const std::string& vault_url);
  // Stores the documents [begin, end) in the project, in batches.
  absl::Status Fill(const std::string& hub, uint64_t begin, uint64_t end);
  // Each fails also when the answer is not the right one.
  absl::Status FindHub(const std::string& hub);
  absl::Status ReadOne(const std::string& hub, uint64_t number) {
    return ReadOne(hub, number, ContentOf(number));
  }
  absl::Status ReadOne(const std::string& hub, uint64_t number, const std::string& content);
  absl::Status SearchOne(const std::string& hub, uint64_t number);
  // Until the hub's index holds all that was written.
  absl::Status WaitUntilIndexed(const std::string& hub);

  void Authorize(grpc::ClientContext& context) const {
    context.AddMetadata("authorization", token_);
  }
  v1::DocumentService::Stub& documents() { return *documents_; }
  v1::SearchService::Stub& searches() { return *searches_; }

 private:
  std::unique_ptr<grpc::ClientContext> NewContext(const std::string& token) const;

  const std::string tenant_;
  const std::string token_, owner_token_;
  const std::unique_ptr<v1::HubService::Stub> hubs_;
  const std::unique_ptr<v1::ProjectService::Stub> projects_;
  const std::unique_ptr<v1::DocumentService::Stub> documents_;
  const std::unique_ptr<v1::SearchService::Stub> searches_;
};

}  // namespace cmkstore::bench
