// QueryUsage against a real server: what was done is what is counted, hour by hour.

#include "cmkstore/v1/usage_service.grpc.pb.h"
#include "google/longrunning/operations.grpc.pb.h"
#include "tests/e2e/served_hub.h"

namespace cmkstore {
namespace {

class UsageTest : public ServedHub {
 protected:
  UsageTest() { StartServer(); }  // with Adjust
  void Adjust(service::ServerOptions& options) override {
    options.usage.flush_interval = absl::Milliseconds(100);
  }

  std::string Query(v1::QueryUsageRequest request, v1::QueryUsageResponse* response,
                    const std::string& role = "reader") {
    const auto usage = v1::UsageService::NewStub(server_->InProcessChannel());
    return ReasonOf(usage->QueryUsage(As(role).get(), request, response));
  }
  // All records of `parent` of the last `hours`, through pages of `page_size`.
  std::vector<v1::UsageRecord> Records(int hours = 24, int page_size = 0,
                                       const std::string& parent = kHub) {
    v1::QueryUsageRequest request;
    request.set_parent(parent);
    request.set_page_size(page_size);
    request.mutable_start_time()->set_seconds(
        absl::ToUnixSeconds(clock_.WallNow() - absl::Hours(hours)));
    std::vector<v1::UsageRecord> records;
    for (;;) {
      v1::QueryUsageResponse page;
      EXPECT_EQ(Query(request, &page), "OK");
      EXPECT_LE(page.records_size(), page_size == 0 ? 50 : page_size);
      records.insert(records.end(), page.records().begin(), page.records().end());
      if (page.next_page_token().empty()) return records;
      request.set_page_token(page.next_page_token());
    }
  }
  // The sum of the hours, with the levels of the last one.
  v1::UsageRecord Sum(const std::string& parent = kHub) {
    v1::UsageRecord sum;
    for (const v1::UsageRecord& one : Records(24, 0, parent)) {
      sum.set_documents(one.documents());
      sum.set_stored_bytes(one.stored_bytes());
      sum.set_index_bytes(one.index_bytes());
      sum.set_documents_read(sum.documents_read() + one.documents_read());
      sum.set_documents_written(sum.documents_written() + one.documents_written());
      auto& requests = *sum.mutable_requests();
      requests.set_reads(requests.reads() + one.requests().reads());
      requests.set_writes(requests.writes() + one.requests().writes());
      requests.set_lists(requests.lists() + one.requests().lists());
      requests.set_searches(requests.searches() + one.requests().searches());
      requests.set_control(requests.control() + one.requests().control());
      auto& keys = *sum.mutable_key_operations();
      keys.set_unwraps(keys.unwraps() + one.key_operations().unwraps());
      keys.set_wraps(keys.wraps() + one.key_operations().wraps());
    }
    return sum;
  }
  // Until all that was counted before is on disk.
  void AwaitFlush() {
    const absl::Time now = clock_.WallNow();
    const absl::Time give_up = absl::Now() + absl::Seconds(10);
    v1::QueryUsageRequest request;
    request.set_parent(absl::StrCat("tenants/", kTenant));
    for (v1::QueryUsageResponse response; absl::Now() < give_up;) {
      ASSERT_EQ(Query(request, &response), "OK");
      const auto& through = response.counted_through_time();
      if (absl::FromUnixNanos(through.seconds() * 1'000'000'000 + through.nanos()) > now) return;
      absl::SleepFor(absl::Milliseconds(10));
    }
    FAIL() << "no flush";
  }
  std::string Delete(const std::string& id) {
    v1::DeleteDocumentRequest request;
    request.set_name(NameOf(id));
    v1::DeleteDocumentResponse response;
    return ReasonOf(documents_->DeleteDocument(As("contributor").get(), request, &response));
  }
};

TEST_F(UsageTest, WritesDocumentsAndBytesAreExactAtOnce) {
  SetUpHub();
  ASSERT_EQ(ReasonOf(Put("d1", "{}")), "OK");
  const uint64_t one = Sum().stored_bytes();
  EXPECT_GT(one, 100u);
  ASSERT_EQ(ReasonOf(Put("d2", "{}")), "OK");
  EXPECT_EQ(Sum().stored_bytes(), 2 * one);
  ASSERT_EQ(ReasonOf(Put("d2", "{\"more\": 1}")), "OK");
  EXPECT_EQ(Sum().stored_bytes(), 2 * one + 9);
  v1::Document stale;
  EXPECT_EQ(ReasonOf(Put("d2", "{}", &stale, "stale")), "ETAG_MISMATCH");
  ASSERT_EQ(Delete("d2"), "OK");
  const v1::UsageRecord sum = Sum();
  EXPECT_EQ(sum.documents(), 1u);
  EXPECT_EQ(sum.stored_bytes(), one);
  EXPECT_EQ(sum.requests().writes(), 4u) << "what was refused is no write";
  EXPECT_EQ(sum.documents_written(), 4u);
}

TEST_F(UsageTest, ReadsListsSearchesControlAndKeyOperationsAreCountedAfterAFlush) {
  SetUpHub();
  ASSERT_EQ(ReasonOf(Put("d1", "{}")), "OK");
  for (int i = 0; i < 3; ++i) ASSERT_EQ(ReasonOf(Get("d1")), "OK");
  EXPECT_EQ(ReasonOf(Get("none")), "DOCUMENT_NOT_FOUND");
  v1::ListDocumentsRequest list;
  list.set_parent(absl::StrCat(kProject, "/collections/canary-flows"));
  v1::ListDocumentsResponse listed;
  ASSERT_TRUE(documents_->ListDocuments(As("reader").get(), list, &listed).ok());
  v1::SearchRequest search;
  search.set_parent(kHub);
  v1::SearchResponse found;
  ASSERT_TRUE(search_->Search(As("reader").get(), search, &found).ok());
  v1::GetKeyStatusRequest of_key;
  of_key.set_name(absl::StrCat(kHub, "/key"));
  v1::KeyStatus status;
  ASSERT_TRUE(keys_->GetKeyStatus(As("reader").get(), of_key, &status).ok());
  AwaitFlush();
  const v1::UsageRecord sum = Sum();
  EXPECT_EQ(sum.requests().reads(), 4u) << "one that found nothing was served too";
  EXPECT_EQ(sum.documents_read(), 4u) << "three gets and a list of one";
  EXPECT_EQ(sum.requests().lists(), 1u);
  EXPECT_EQ(sum.requests().searches(), 1u);
  EXPECT_GE(sum.requests().control(), 2u) << "the project's creation and the key's status";
  EXPECT_EQ(sum.key_operations().wraps(), 1u);
  EXPECT_GE(sum.key_operations().unwraps(), 2u) << "the trial of the wrap, and the first use";
  EXPECT_GT(sum.index_bytes(), 4096u);
}

TEST_F(UsageTest, RefusedCallsAreNotUsage) {
  SetUpHub();
  Lock();
  EXPECT_EQ(ReasonOf(Get("d1")), "HUB_LOCKED");
  EXPECT_EQ(ReasonOf(Get("d1", nullptr, "auditor")), "ACCESS_DENIED");
  AwaitFlush();
  EXPECT_EQ(Sum().requests().reads(), 0u);
}

TEST_F(UsageTest, EveryHourOfAHubsLifeHasARecordAndLevelsAreThoseOfTheHoursEnd) {
  SetUpHub();
  ASSERT_EQ(ReasonOf(Put("d1", "{}")), "OK");
  clock_.Advance(absl::Hours(3));
  ASSERT_EQ(ReasonOf(Put("d2", "{}")), "OK");
  ASSERT_EQ(ReasonOf(Put("d3", "{}")), "OK");
  const std::vector<v1::UsageRecord> records = Records();
  ASSERT_EQ(records.size(), 4u);
  const std::vector<uint64_t> documents = {1, 1, 1, 3}, writes = {1, 0, 0, 2};
  double index_seconds = 0;
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(records[i].documents(), documents[i]) << i;
    EXPECT_EQ(records[i].requests().writes(), writes[i]) << i;
    EXPECT_EQ(records[i].hour().seconds() % 3600, 0);
    EXPECT_EQ(records[i].hour().seconds(), records[0].hour().seconds() + 3600 * i);
    index_seconds += static_cast<double>(records[i].search_index_time().seconds());
  }
  EXPECT_EQ(records[1].search_index_time().seconds(), 3600);
  EXPECT_NEAR(index_seconds, 3 * 3600, 30) << "from its creation until now";
  EXPECT_EQ(records[1].stored_bytes(), records[0].stored_bytes());
}

TEST_F(UsageTest, PagesGoOnWhereTheLastOneEndedAcrossHubs) {
  SetUpHub();
  v1::CreateHubRequest request;
  request.set_parent(absl::StrCat("tenants/", kTenant));
  request.mutable_hub()->mutable_encryption()->mutable_platform_managed();
  for (const char* id : {"a0", "z9"}) {
    request.set_hub_id(id);
    v1::Hub hub;
    ASSERT_EQ(ReasonOf(hubs_->CreateHub(As("owner").get(), request, &hub)), "OK");
  }
  ASSERT_EQ(ReasonOf(Put("d1", "{}")), "OK");
  clock_.Advance(absl::Hours(4));
  const std::string tenant = absl::StrCat("tenants/", kTenant);
  const auto whole = Records(24, 1000, tenant), paged = Records(24, 2, tenant);
  ASSERT_EQ(whole.size(), 15u);
  ASSERT_EQ(paged.size(), 15u);
  for (size_t i = 0; i < whole.size(); ++i) {
    EXPECT_EQ(paged[i].hub(), whole[i].hub());
    EXPECT_EQ(paged[i].hour().seconds(), whole[i].hour().seconds());
    EXPECT_EQ(paged[i].documents(), whole[i].documents());
    EXPECT_EQ(paged[i].documents(), i >= 5 && i < 10 ? 1u : 0u) << "h1 is between the others";
    const bool asks_a_vault = i >= 5 && i < 10;
    EXPECT_TRUE(asks_a_vault || whole[i].key_operations().unwraps() == 0) << i;
  }
}

TEST_F(UsageTest, DeletingAProjectTakesItsDocumentsOff) {
  SetUpHub();
  for (int i = 0; i < 20; ++i) ASSERT_EQ(ReasonOf(Put(absl::StrCat("d", i), "{}")), "OK");
  EXPECT_EQ(Sum().documents(), 20u);
  v1::DeleteProjectRequest request;
  request.set_name(kProject);
  request.set_force(true);
  google::protobuf::Empty empty;
  ASSERT_EQ(ReasonOf(projects_->DeleteProject(As("owner").get(), request, &empty)), "OK");
  const absl::Time give_up = absl::Now() + absl::Seconds(10);
  while (Sum().documents() > 0 && absl::Now() < give_up) absl::SleepFor(absl::Milliseconds(10));
  EXPECT_EQ(Sum().documents(), 0u);
  EXPECT_EQ(Sum().stored_bytes(), 0u);
}

TEST_F(UsageTest, APurgedHubsUsageIsToldUntilThePurgeAndNoFurther) {
  SetUpHub();
  ASSERT_EQ(ReasonOf(Put("d1", "{}")), "OK");
  ASSERT_EQ(ReasonOf(Get("d1")), "OK");
  AwaitFlush();
  v1::DeleteHubRequest request;
  request.set_name(kHub);
  v1::Hub hub;
  ASSERT_EQ(ReasonOf(hubs_->DeleteHub(As("owner").get(), request, &hub)), "OK");
  clock_.Advance(absl::Hours(7 * 24 + 1));
  StartServer();  // with tokens of then
  v1::GetHubRequest get;
  get.set_name(kHub);
  const absl::Time give_up = absl::Now() + absl::Seconds(20);
  while (!hub.purge_receipt().has_finish_time() && absl::Now() < give_up) {
    ASSERT_TRUE(hubs_->GetHub(As("reader").get(), get, &hub).ok());
    absl::SleepFor(absl::Milliseconds(20));
  }
  ASSERT_TRUE(hub.purge_receipt().has_finish_time());
  clock_.Advance(absl::Hours(5));
  StartServer();
  const std::vector<v1::UsageRecord> records = Records(200, 1000);
  ASSERT_EQ(records.size(), 7u * 24 + 2);
  EXPECT_EQ(records.front().requests().writes(), 1u);
  EXPECT_EQ(records.front().requests().reads(), 1u);
  EXPECT_EQ(records[100].search_index_time().seconds(), 3600) << "kept, and so metered";
  EXPECT_EQ(records.back().documents(), 1u);

  // Its record goes 400 days after its purge.
  v1::QueryUsageRequest life;
  life.set_parent(absl::StrCat("tenants/", kTenant));
  *life.mutable_start_time() = records.front().hour();
  life.mutable_end_time()->set_seconds(records.back().hour().seconds() + 3600);
  clock_.Advance(absl::Hours(399 * 24));
  StartServer();
  v1::QueryUsageResponse response;
  ASSERT_EQ(Query(life, &response), "OK");
  EXPECT_GT(response.records_size(), 0);
  clock_.Advance(absl::Hours(2 * 24));
  StartServer();
  const absl::Time forgotten_by = absl::Now() + absl::Seconds(20);
  while (response.records_size() > 0 && absl::Now() < forgotten_by) {
    ASSERT_EQ(Query(life, &response), "OK");
    absl::SleepFor(absl::Milliseconds(20));
  }
  EXPECT_EQ(response.records_size(), 0);
  EXPECT_NE(ReadFile(dir_.path() + "/log.jsonl")->find("purged_usage_forgotten"),
            std::string::npos);
}

TEST_F(UsageTest, CountsSurviveAnOrderlyRestart) {
  SetUpHub();
  ASSERT_EQ(ReasonOf(Put("d1", "{}")), "OK");
  for (int i = 0; i < 5; ++i) ASSERT_EQ(ReasonOf(Get("d1")), "OK");
  StartServer();  // shuts the other down: the last counts go to disk
  EXPECT_EQ(Sum().requests().reads(), 5u);
  EXPECT_EQ(Sum().documents(), 1u);
}

TEST_F(UsageTest, OnlyWhoBelongsToTheTenantAndTheHubMayAsk) {
  SetUpHub();
  v1::QueryUsageRequest request;
  v1::QueryUsageResponse response;
  request.set_parent("tenants/other");
  EXPECT_EQ(Query(request, &response, "owner"), "ACCESS_DENIED");
  request.set_parent(absl::StrCat("tenants/", kTenant, "/hubs/none"));
  EXPECT_EQ(Query(request, &response), "HUB_NOT_FOUND");
  request.set_parent(kHub);
  for (const char* role : {"auditor", "operator", "key_admin", "contributor", "owner"}) {
    EXPECT_EQ(Query(request, &response, role), "OK") << role;
  }
  request.mutable_start_time()->set_seconds(1'000);
  EXPECT_EQ(Query(request, &response), "FIELD_INVALID") << "too long a time";
  request.mutable_start_time()->set_seconds(absl::ToUnixSeconds(clock_.WallNow()) + 3600);
  EXPECT_EQ(Query(request, &response), "FIELD_INVALID") << "begins after its end";
  request.clear_start_time();
  request.set_page_token("forged");
  EXPECT_EQ(Query(request, &response), "FIELD_INVALID");
}

}  // namespace
}  // namespace cmkstore
