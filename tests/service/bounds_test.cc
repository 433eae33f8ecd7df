// Every bound of an input: what is at it is taken, one more is refused with the field and the
// limit.

#include <filesystem>
#include <functional>
#include <type_traits>
#include <vector>

#include "cmkstore/v1/admin_service.grpc.pb.h"
#include "cmkstore/v1/usage_service.grpc.pb.h"
#include "google/longrunning/operations.grpc.pb.h"
#include "tests/e2e/served_hub.h"

namespace cmkstore {
namespace {

constexpr size_t kMebibyte = 1u << 20;

struct Bound {
  std::string what;
  size_t limit;
  std::string field;
  std::function<grpc::Status(size_t)> call;  // with so much of it
  std::string said = "";                     // how the message says the limit; empty: as a number
};

std::string Letters(size_t count) { return std::string(count, 'x'); }

class BoundsTest : public ServedHub {
 protected:
  void SetUp() override {
    StartServer();  // with what Adjust says
    SetUpHub();
    operations_ = google::longrunning::Operations::NewStub(channel_);
    usage_ = v1::UsageService::NewStub(channel_);
    admin_ = v1::AdminService::NewStub(channel_);
  }
  void Adjust(service::ServerOptions& options) override {
    options.backup.directory = dir_.path() + "/backups";
    std::filesystem::create_directory(options.backup.directory);
  }

  template <typename Stub, typename Request, typename Response>
  grpc::Status Send(Stub& stub,
                    grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                    const Request& request) {
    Response response;
    return (stub.*method)(As("owner").get(), request, &response);
  }
  grpc::Status Write(const std::function<void(v1::Document&)>& fill) {
    v1::UpdateDocumentRequest request;
    request.mutable_document()->set_name(NameOf("d"));
    request.set_allow_missing(true);
    fill(*request.mutable_document());
    return Send(*documents_, &v1::DocumentService::Stub::UpdateDocument, request);
  }
  grpc::Status CreateDocument(const std::string& collection, const std::string& id) {
    v1::CreateDocumentRequest request;
    request.set_parent(absl::StrCat(kProject, "/collections/", collection));
    request.set_document_id(id);
    return Send(*documents_, &v1::DocumentService::Stub::CreateDocument, request);
  }
  grpc::Status CreateHubNamed(const std::string& id, const std::string& display_name = "") {
    v1::CreateHubRequest request;
    request.set_parent(absl::StrCat("tenants/", kTenant));
    request.set_hub_id(id);
    request.mutable_hub()->set_display_name(display_name);
    request.mutable_hub()->mutable_encryption()->mutable_platform_managed();
    return Send(*hubs_, &v1::HubService::Stub::CreateHub, request);
  }
  grpc::Status CreateProjectNamed(const std::string& id, const std::string& display_name = "") {
    v1::CreateProjectRequest request;
    request.set_parent(kHub);
    request.set_project_id(id);
    request.mutable_project()->set_display_name(display_name);
    return Send(*projects_, &v1::ProjectService::Stub::CreateProject, request);
  }
  grpc::Status WriteBatch(const v1::BatchWriteDocumentsRequest& batch) {
    return Send(*documents_, &v1::DocumentService::Stub::BatchWriteDocuments, batch);
  }
  grpc::Status WriteSoMany(size_t count) {
    v1::BatchWriteDocumentsRequest batch;
    batch.set_parent(kHub);
    for (size_t i = 0; i < count; ++i) {
      batch.add_writes()->mutable_upsert()->set_name(NameOf(absl::StrCat("d", i)));
    }
    return WriteBatch(batch);
  }
  grpc::Status WriteSoManyBytes(size_t bytes) {
    v1::BatchWriteDocumentsRequest batch;
    batch.set_parent(kHub);
    for (int i = 0; i < 9; ++i) {
      v1::Document& document = *batch.add_writes()->mutable_upsert();
      document.set_name(NameOf(absl::StrCat("big", i)));
      document.set_content_type("text/plain");
      document.set_content(Letters(i < 7 ? kMebibyte : 500'000));
    }
    batch.mutable_writes(8)->mutable_upsert()->mutable_content()->append(
        bytes - batch.ByteSizeLong(), 'x');
    EXPECT_EQ(batch.ByteSizeLong(), bytes);
    return WriteBatch(batch);
  }
  grpc::Status ReadSoMany(size_t count) {
    v1::BatchGetDocumentsRequest batch;
    batch.set_parent(kHub);
    for (size_t i = 0; i < count; ++i) batch.add_names(NameOf(absl::StrCat("d", i)));
    return Send(*documents_, &v1::DocumentService::Stub::BatchGetDocuments, batch);
  }
  grpc::Status Search(const std::function<void(v1::SearchRequest&)>& fill) {
    v1::SearchRequest request;
    request.set_parent(kHub);
    fill(request);
    return Send(*search_, &v1::SearchService::Stub::Search, request);
  }
  template <typename Request, typename Stub, typename Response>
  std::function<grpc::Status(size_t)> PageOf(
      Stub& stub, grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
      const std::string& parent) {
    return [this, &stub, method, parent](size_t size) {
      Request request;
      if constexpr (std::is_same_v<Request, google::longrunning::ListOperationsRequest>) {
        request.set_name(parent);
      } else {
        request.set_parent(parent);
      }
      request.set_page_size(static_cast<int>(size));
      return Send(stub, method, request);
    };
  }

  std::vector<Bound> Ids();
  std::vector<Bound> Contents();
  std::vector<Bound> Batches();
  std::vector<Bound> Pages();
  std::vector<Bound> Questions();
  std::vector<Bound> Hubs();

  std::unique_ptr<google::longrunning::Operations::Stub> operations_;
  std::unique_ptr<v1::UsageService::Stub> usage_;
  std::unique_ptr<v1::AdminService::Stub> admin_;
};

std::vector<Bound> BoundsTest::Ids() {
  return {{"hub id", 128, "hub_id", [this](size_t n) { return CreateHubNamed(Letters(n)); }},
          {"project id", 128, "project_id",
           [this](size_t n) { return CreateProjectNamed(Letters(n)); }},
          {"collection id", 128, "parent",
           [this](size_t n) { return CreateDocument(Letters(n), "d"); }},
          {"document id", 128, "document_id",
           [this](size_t n) { return CreateDocument("c", Letters(n)); }},
          {"document id in a name", 128, "document.name", [this](size_t n) {
             return Write([n](v1::Document& document) { document.set_name(NameOf(Letters(n))); });
           }}};
}

std::vector<Bound> BoundsTest::Contents() {
  const auto write = [this](void (*fill)(v1::Document&, size_t)) {
    return [this, fill](size_t n) {
      return Write([&](v1::Document& document) { fill(document, n); });
    };
  };
  return {
      {"labels", 64, "document.labels", write([](v1::Document& document, size_t n) {
         for (size_t i = 0; i < n; ++i) (*document.mutable_labels())[absl::StrCat("k", i)] = "v";
       }),
       "64 labels"},
      {"a label's key", 63, "document.labels", write([](v1::Document& document, size_t n) {
         (*document.mutable_labels())[Letters(n)] = "";
       })},
      {"a label's value", 256, "document.labels", write([](v1::Document& document, size_t n) {
         (*document.mutable_labels())["k"] = Letters(n);
       })},
      {"content", kMebibyte, "document.content", write([](v1::Document& document, size_t n) {
         document.set_content_type("application/octet-stream");
         document.set_content(Letters(n));
       })},
      {"content type", 127, "document.content_type",
       write([](v1::Document& document, size_t n) { document.set_content_type(Letters(n)); })},
      {"a hub's display name", 256, "hub.display_name",
       [this](size_t n) { return CreateHubNamed(absl::StrCat("named", n), Letters(n)); }},
      {"a project's display name", 256, "project.display_name",
       [this](size_t n) { return CreateProjectNamed(absl::StrCat("named", n), Letters(n)); }},
  };
}

std::vector<Bound> BoundsTest::Batches() {
  return {{"writes of a batch", 500, "writes", [this](size_t n) { return WriteSoMany(n); }},
          {"bytes of a batch", 8 * kMebibyte, "writes",
           [this](size_t n) { return WriteSoManyBytes(n); }, "8 MiB"},
          {"names of a batch", 500, "names", [this](size_t n) { return ReadSoMany(n); }}};
}

std::vector<Bound> BoundsTest::Pages() {
  const std::string tenant = absl::StrCat("tenants/", kTenant);
  return {
      {"page of hubs", 1000, "page_size",
       PageOf<v1::ListHubsRequest>(*hubs_, &v1::HubService::Stub::ListHubs, tenant)},
      {"page of projects", 1000, "page_size",
       PageOf<v1::ListProjectsRequest>(*projects_, &v1::ProjectService::Stub::ListProjects, kHub)},
      {"page of documents", 1000, "page_size",
       PageOf<v1::ListDocumentsRequest>(*documents_, &v1::DocumentService::Stub::ListDocuments,
                                        absl::StrCat(kProject, "/collections/-"))},
      {"page of hits", 1000, "page_size",
       PageOf<v1::SearchRequest>(*search_, &v1::SearchService::Stub::Search, kHub)},
      {"page of operations", 1000, "page_size",
       PageOf<google::longrunning::ListOperationsRequest>(
           *operations_, &google::longrunning::Operations::Stub::ListOperations, kHub)},
      {"page of usage records", 1000, "page_size",
       PageOf<v1::QueryUsageRequest>(*usage_, &v1::UsageService::Stub::QueryUsage, tenant)},
      {"page of backups", 1000, "page_size", [this](size_t n) {
         v1::ListBackupsRequest request;
         request.set_page_size(static_cast<int>(n));
         v1::ListBackupsResponse response;
         return admin_->ListBackups(As("operator").get(), request, &response);
       }}};
}

std::vector<Bound> BoundsTest::Hubs() {
  return {{"addresses of a hub", 64, "hub.allowed_ip_ranges",
           [this](size_t n) {
             v1::UpdateHubRequest request;
             request.mutable_hub()->set_name(kHub);
             for (size_t i = 1; i < n; ++i) {
               request.mutable_hub()->add_allowed_ip_ranges(absl::StrCat("10.0.", i, ".0/24"));
             }
             request.mutable_hub()->add_allowed_ip_ranges("0.0.0.0/0");
             request.mutable_update_mask()->add_paths("allowed_ip_ranges");
             return Send(*hubs_, &v1::HubService::Stub::UpdateHub, request);
           }},
          {"seconds of a hub's retention", 90 * 24 * 3600, "retention",
           [this](size_t n) {
             v1::DeleteHubRequest request;
             request.set_name(absl::StrCat("tenants/", kTenant, "/hubs/named256"));
             request.mutable_retention()->set_seconds(static_cast<int64_t>(n));
             return Send(*hubs_, &v1::HubService::Stub::DeleteHub, request);
           },
           "7 to 90 days"}};
}

std::vector<Bound> BoundsTest::Questions() {
  const auto ask = [this](void (*fill)(v1::SearchRequest&, size_t)) {
    return [this, fill](size_t n) {
      return Search([&](v1::SearchRequest& request) { fill(request, n); });
    };
  };
  return {{"query", 1024, "query",
           ask([](v1::SearchRequest& request, size_t n) { request.set_query(Letters(n)); })},
          {"filter", 2048, "filter", ask([](v1::SearchRequest& request, size_t n) {
             const std::string rest = R"(labels.k = "")";
             request.set_filter(R"(labels.k = ")" + Letters(n - rest.size()) + '"');
           })},
          {"order", 2048, "order_by", ask([](v1::SearchRequest& request, size_t n) {
             const std::string rest = "labels.";
             request.set_order_by(rest + Letters(n - rest.size()));
           })},
          {"facets", 8, "facets", ask([](v1::SearchRequest& request, size_t n) {
             for (size_t i = 0; i < n; ++i) request.add_facets(absl::StrCat("labels.k", i));
           })},
          {"fields to order by", 4, "order_by", ask([](v1::SearchRequest& request, size_t n) {
             std::string fields = "labels.k0";
             for (size_t i = 1; i < n; ++i) absl::StrAppend(&fields, ", labels.k", i);
             request.set_order_by(fields);
           }),
           "4 fields"}};
}

TEST_F(BoundsTest, WhatOtherReadersDoNotTakeForJsonIsRefused) {
  for (const std::string& content : {std::string("\xef\xbb\xbf{}"), std::string("{}\0more", 7),
                                     std::string("{}\0", 3), std::string("\0", 1)}) {
    const grpc::Status refused = Write([&](v1::Document& one) { one.set_content(content); });
    EXPECT_EQ(ReasonOf(refused), "FIELD_INVALID");
    EXPECT_THAT(refused.error_message(), ::testing::HasSubstr("document.content"));
  }
  EXPECT_EQ(ReasonOf(Write([](v1::Document& one) { one.set_content("[\"\\u0000\"]"); })), "OK");
}

TEST_F(BoundsTest, WhatIsAtABoundIsTakenAndOneMoreIsRefusedWithFieldAndLimit) {
  for (const auto& bounds : {Ids(), Contents(), Batches(), Pages(), Questions(), Hubs()}) {
    for (const Bound& bound : bounds) {
      SCOPED_TRACE(bound.what);
      const grpc::Status taken = bound.call(bound.limit);
      EXPECT_EQ(ReasonOf(taken), "OK") << taken.error_message();
      const grpc::Status refused = bound.call(bound.limit + 1);
      EXPECT_EQ(refused.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
      EXPECT_EQ(ReasonOf(refused), "FIELD_INVALID");
      google::rpc::Status wire;
      ASSERT_TRUE(wire.ParseFromString(refused.error_details()));
      std::vector<std::string> fields;
      for (const auto& one : wire.details()) {
        google::rpc::BadRequest detail;
        if (!one.UnpackTo(&detail)) continue;
        for (const auto& field : detail.field_violations()) {
          fields.push_back(field.field());
          const std::string said = bound.said.empty() ? absl::StrCat(bound.limit) : bound.said;
          EXPECT_NE(field.description().find(said), std::string::npos) << field.description();
        }
      }
      EXPECT_EQ(fields, std::vector<std::string>{bound.field});
    }
  }
}

// Not by gRPC, whose refusal names neither field nor limit.
TEST_F(BoundsTest, WhatIsFarBeyondABoundIsRefusedAlike) {
  v1::BatchWriteDocumentsRequest batch;
  batch.set_parent(kHub);
  for (int i = 0; i < 15; ++i) {
    v1::Document& document = *batch.add_writes()->mutable_upsert();
    document.set_name(NameOf(absl::StrCat("big", i)));
    document.set_content_type("text/plain");
    document.set_content(Letters(kMebibyte));
  }
  EXPECT_EQ(ReasonOf(WriteBatch(batch)), "FIELD_INVALID");
}

}  // namespace
}  // namespace cmkstore
