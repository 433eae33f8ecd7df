// What ends an open watch, and what it is told of projects.

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>

#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "tests/e2e/served_hub.h"

namespace cmkstore {
namespace {

using ::testing::ElementsAre;

class WatchTest : public ServedHub {
 protected:
  struct Stream {
    std::unique_ptr<grpc::ClientContext> context;
    std::unique_ptr<grpc::ClientReader<v1::WatchDocumentsResponse>> reader;
    bool ended = false;

    ~Stream() {
      if (ended) return;
      context->TryCancel();
      reader->Finish();
    }
    // The changes of the next part that has any, as "KIND name"; none when the stream ends.
    std::vector<std::string> Next() {
      v1::WatchDocumentsResponse part;
      std::vector<std::string> changes;
      while (changes.empty() && reader->Read(&part)) {
        for (const v1::DocumentChange& change : part.changes()) changes.push_back(Text(change));
      }
      return changes;
    }
    // Why it ends, and what it tells until then.
    std::string End(std::vector<std::string>* told = nullptr) {
      for (auto changes = Next(); !changes.empty(); changes = Next()) {
        if (told == nullptr) ADD_FAILURE() << changes.front();
        if (told != nullptr) told->insert(told->end(), changes.begin(), changes.end());
      }
      ended = true;
      return ReasonOf(reader->Finish());
    }
    static std::string Text(const v1::DocumentChange& change) {
      return absl::StrCat(v1::DocumentChange::Kind_Name(change.kind()), " ",
                          change.document().name(), change.project());
    }
  };

  void SetUp() override {
    SetUpHub();
    ASSERT_EQ(ReasonOf(Put("d1", "{}")), "OK");
  }
  // From 127.0.0.1, of which network rules know.
  std::unique_ptr<Stream> Watch(const std::string& parent, uint64_t after = 0) {
    const auto channel = grpc::CreateChannel(absl::StrCat("127.0.0.1:", server_->port()),
                                             grpc::InsecureChannelCredentials());
    v1::WatchDocumentsRequest request;
    request.set_parent(parent);
    request.set_after_sequence(after);
    request.set_view(v1::FULL);
    auto stream = std::make_unique<Stream>();
    stream->context = As("reader");
    // Long enough for a heartbeat or two on a machine that is busy with other things.
    stream->context->set_deadline(absl::ToChronoTime(clock_.WallNow() + absl::Minutes(2)));
    stream->reader =
        v1::DocumentService::NewStub(channel)->WatchDocuments(stream->context.get(), request);
    return stream;
  }
  void Allow(const std::vector<std::string>& ranges) {
    v1::UpdateHubRequest request;
    request.mutable_hub()->set_name(kHub);
    for (const std::string& range : ranges) request.mutable_hub()->add_allowed_ip_ranges(range);
    request.mutable_update_mask()->add_paths("allowed_ip_ranges");
    v1::Hub hub;
    ASSERT_EQ(ReasonOf(hubs_->UpdateHub(As("owner").get(), request, &hub)), "OK");
  }
  void DeleteProject() {
    v1::DeleteProjectRequest request;
    request.set_name(kProject);
    request.set_force(true);
    google::protobuf::Empty nothing;
    ASSERT_EQ(ReasonOf(projects_->DeleteProject(As("owner").get(), request, &nothing)), "OK");
  }
};

TEST_F(WatchTest, ANetworkThatIsShutOutIsToldNothingMore) {
  constexpr int kMore = 24;  // too much to be on its way to a caller who does not read
  for (int i = 0; i < kMore; ++i) {
    const std::string content = absl::StrCat("\"", std::string(1'000'000, 'a'), "\"");
    ASSERT_EQ(ReasonOf(Put(absl::StrCat("large", i), content)), "OK");
  }
  const auto stream = Watch(kHub);
  std::vector<std::string> told = stream->Next();
  ASSERT_EQ(told.at(0), "PUT " + NameOf("d1"));
  Allow({"10.0.0.0/8"});
  EXPECT_EQ(stream->End(&told), "NETWORK_DENIED");
  EXPECT_LT(told.size(), 1u + kMore);
  EXPECT_EQ(Watch(kHub)->End(), "NETWORK_DENIED") << "as a new one";
}

TEST_F(WatchTest, ANetworkThatIsShutOutEndsAWatchThatWaits) {
  Allow({"127.0.0.0/8"});
  const auto stream = Watch(kHub);
  ASSERT_THAT(stream->Next(), ElementsAre("PUT " + NameOf("d1")));
  Allow({"10.0.0.0/8"});
  EXPECT_EQ(stream->End(), "NETWORK_DENIED");
}

TEST_F(WatchTest, ATokenThatExpiresEndsIt) {
  const auto stream = Watch(kHub);
  ASSERT_THAT(stream->Next(), ElementsAre("PUT " + NameOf("d1")));
  clock_.Advance(absl::Hours(12) + absl::Minutes(1));
  EXPECT_EQ(stream->End(), "TOKEN_EXPIRED");
}

TEST_F(WatchTest, ADeletedProjectIsToldOfAndItsOwnWatchEnds) {
  const auto hub = Watch(kHub), project = Watch(kProject);
  ASSERT_THAT(hub->Next(), ElementsAre("PUT " + NameOf("d1")));
  ASSERT_THAT(project->Next(), ElementsAre("PUT " + NameOf("d1")));
  const std::string deleted = absl::StrCat("PROJECT_DELETED ", kProject);
  DeleteProject();
  EXPECT_THAT(hub->Next(), ElementsAre(deleted));
  EXPECT_THAT(project->Next(), ElementsAre(deleted));
  EXPECT_EQ(project->End(), "PROJECT_NOT_FOUND");
  EXPECT_EQ(Watch(kProject)->End(), "PROJECT_NOT_FOUND");
  ASSERT_EQ(ReasonOf(CreateProject()), "OK");
  ASSERT_EQ(ReasonOf(Put("d2", "{}")), "OK");
  EXPECT_THAT(hub->Next(), ElementsAre("PUT " + NameOf("d2")));
}

TEST_F(WatchTest, WhoResumesOnANewProjectOfTheSameIdIsToldThatTheOldOneWent) {
  v1::Document stored;
  ASSERT_EQ(ReasonOf(Put("d1", "{}", &stored)), "OK");
  DeleteProject();
  ASSERT_EQ(ReasonOf(CreateProject()), "OK");
  ASSERT_EQ(ReasonOf(Put("d2", "{}")), "OK");
  const auto stream = Watch(kProject, stored.sequence());
  std::vector<std::string> told = stream->Next();
  for (const std::string& more : told.size() == 1 ? stream->Next() : std::vector<std::string>()) {
    told.push_back(more);
  }
  EXPECT_THAT(told, ElementsAre(absl::StrCat("PROJECT_DELETED ", kProject), "PUT " + NameOf("d2")));
  ASSERT_EQ(ReasonOf(Put("d3", "{}")), "OK");
  EXPECT_THAT(stream->Next(), ElementsAre("PUT " + NameOf("d3"))) << "it is not over";
}

// Else whoever watches from the beginning would hold the one thread of a queue for all of it.
TEST_F(WatchTest, ALongFeedIsToldInPartsOfBoundedLength) {
  constexpr int kBatches = 5, kOfEach = 400, kMostInAPart = 1500;
  for (int i = 0; i < kBatches; ++i) {
    v1::BatchWriteDocumentsRequest batch;
    batch.set_parent(kHub);
    for (int j = 0; j < kOfEach; ++j) {
      batch.add_writes()->mutable_upsert()->set_name(NameOf(absl::StrCat("b", i, "-", j)));
    }
    v1::BatchWriteDocumentsResponse written;
    ASSERT_EQ(ReasonOf(documents_->BatchWriteDocuments(As("owner").get(), batch, &written)), "OK");
  }
  const auto stream = Watch(kHub);
  size_t told = 0;
  while (told < 1 + kBatches * kOfEach) {
    const std::vector<std::string> part = stream->Next();
    ASSERT_FALSE(part.empty());
    EXPECT_LE(part.size(), static_cast<size_t>(kMostInAPart));
    told += part.size();
  }
  EXPECT_EQ(told, static_cast<size_t>(1 + kBatches * kOfEach));
}

TEST_F(WatchTest, OneThatItsCallerLeavesIsNoFailureOfTheServer) {
  SetLogLevel(LogLevel::kDebug);
  auto stream = Watch(kHub);
  ASSERT_THAT(stream->Next(), ElementsAre("PUT " + NameOf("d1")));
  stream.reset();
  ASSERT_EQ(ReasonOf(Put("d2", "{}")), "OK");  // to be told to somebody who is gone
  std::string line;
  const absl::Time give_up = absl::Now() + absl::Seconds(20);
  while (line.empty() && absl::Now() < give_up) {
    for (const absl::string_view one :
         absl::StrSplit(*ReadFile(dir_.path() + "/log.jsonl"), '\n')) {
      if (absl::StrContains(one, "WatchDocuments")) line = std::string(one);
    }
  }
  SetLogLevel(LogLevel::kInfo);
  EXPECT_THAT(line, ::testing::HasSubstr("CANCELLED"));
  EXPECT_THAT(line, ::testing::HasSubstr("\"debug\""));
}

}  // namespace
}  // namespace cmkstore
