// The server is killed by SIGKILL while it is written to and read from: what its usage says of
// writes must be what is there, exactly, and of reads all that was flushed and never more than was
// done.

#include <atomic>
#include <set>
#include <thread>
#include <vector>

#include "cmkstore/v1/usage_service.grpc.pb.h"
#include "tests/e2e/served_process.h"

namespace cmkstore {
namespace {

constexpr int kCallers = 4;

class UsageKillTest : public ServedProcess {
 protected:
  static std::string NameOf(const std::string& id) {
    return absl::StrCat(kProject, "/collections/c/documents/", id);
  }
  grpc::Status Put(v1::DocumentService::Stub& documents, const std::string& id, bool waits = true) {
    v1::UpdateDocumentRequest put;
    put.mutable_document()->set_name(NameOf(id));
    put.mutable_document()->set_content("{\"id\": \"" + id + "\"}");
    put.set_allow_missing(true);
    v1::Document stored;
    return documents.UpdateDocument(Caller(waits).get(), put, &stored);
  }
  grpc::Status Get(v1::DocumentService::Stub& documents, const std::string& id, bool waits = true) {
    v1::GetDocumentRequest get;
    get.set_name(NameOf(id));
    v1::Document found;
    return documents.GetDocument(Caller(waits).get(), get, &found);
  }
  v1::UsageRecord Sum(const std::shared_ptr<grpc::Channel>& channel) {
    v1::QueryUsageRequest request;
    request.set_parent(kHub);
    v1::QueryUsageResponse response;
    EXPECT_EQ(ReasonOf(v1::UsageService::NewStub(channel)->QueryUsage(Caller().get(), request,
                                                                      &response)),
              "OK");
    v1::UsageRecord sum;
    for (const v1::UsageRecord& one : response.records()) {
      sum.set_documents(one.documents());
      sum.set_stored_bytes(one.stored_bytes());
      sum.set_documents_written(sum.documents_written() + one.documents_written());
      auto& requests = *sum.mutable_requests();
      requests.set_reads(requests.reads() + one.requests().reads());
      requests.set_writes(requests.writes() + one.requests().writes());
    }
    return sum;
  }
  std::set<std::string> ListAll(const std::shared_ptr<grpc::Channel>& channel) {
    std::set<std::string> names;
    const auto documents = v1::DocumentService::NewStub(channel);
    v1::ListDocumentsRequest request;
    request.set_parent(absl::StrCat(kProject, "/collections/c"));
    request.set_page_size(1000);
    do {
      v1::ListDocumentsResponse page;
      EXPECT_EQ(ReasonOf(documents->ListDocuments(Caller().get(), request, &page)), "OK");
      for (const auto& document : page.documents()) names.insert(document.name());
      request.set_page_token(page.next_page_token());
    } while (!request.page_token().empty());
    return names;
  }
};

TEST_F(UsageKillTest, WritesAreCountedExactlyAndReadsNeverTwice) {
  const std::string settings = "usage: {flush_interval: 1s}\n";
  StartServer(settings);
  MakeProject();
  auto channel = Connect(0);
  auto documents = v1::DocumentService::NewStub(channel);
  for (int i = 0; i < 50; ++i) {
    ASSERT_EQ(ReasonOf(Put(*documents, absl::StrCat("first-", i))), "OK");
    ASSERT_EQ(ReasonOf(Get(*documents, absl::StrCat("first-", i))), "OK");
  }
  const absl::Time give_up = absl::Now() + absl::Seconds(20);
  while (Sum(channel).requests().reads() < 50 && absl::Now() < give_up) {
    absl::SleepFor(absl::Milliseconds(50));
  }
  ASSERT_EQ(Sum(channel).requests().reads(), 50u);

  std::atomic<int> acknowledged = 0, asked_reads = 0;
  std::vector<std::thread> callers;
  for (int caller = 0; caller < kCallers; ++caller) {
    callers.emplace_back([&, caller] {
      const auto own = Connect(1 + caller);
      own->WaitForConnected(std::chrono::system_clock::now() + std::chrono::seconds(20));
      const auto mine = v1::DocumentService::NewStub(own);
      for (int n = 0;; ++n) {
        const std::string id = absl::StrCat("storm-", caller, "-", n);
        if (!Put(*mine, id, /*waits=*/false).ok()) return;
        ++acknowledged;
        ++asked_reads;
        if (!Get(*mine, id, /*waits=*/false).ok()) return;
      }
    });
  }
  while (acknowledged < 400) absl::SleepFor(absl::Milliseconds(2));
  Kill();
  for (std::thread& caller : callers) caller.join();

  StartServer(settings);
  channel = Connect(100);
  const v1::UsageRecord sum = Sum(channel);
  const std::set<std::string> there = ListAll(channel);
  EXPECT_GE(there.size(), 50u + static_cast<size_t>(acknowledged));
  EXPECT_EQ(sum.documents(), there.size());
  EXPECT_EQ(sum.requests().writes(), there.size()) << "each was written once";
  EXPECT_EQ(sum.documents_written(), there.size());
  EXPECT_GE(sum.requests().reads(), 50u) << "what was flushed is not lost";
  EXPECT_LE(sum.requests().reads(), 50u + static_cast<uint64_t>(asked_reads));
  // Bytes were counted exactly if taking every document away leaves none.
  documents = v1::DocumentService::NewStub(channel);
  for (const std::string& name : there) {
    v1::DeleteDocumentRequest remove;
    remove.set_name(name);
    v1::DeleteDocumentResponse removed;
    ASSERT_EQ(ReasonOf(documents->DeleteDocument(Caller().get(), remove, &removed)), "OK");
  }
  EXPECT_EQ(Sum(channel).documents(), 0u);
  EXPECT_EQ(Sum(channel).stored_bytes(), 0u);
  EXPECT_EQ(Terminate(), 0);
}

}  // namespace
}  // namespace cmkstore
