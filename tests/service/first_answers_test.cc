#include "service/first_answers.h"

#include <gtest/gtest.h>

#include <optional>
#include <utility>

#include "service/apply_blocking.h"
#include "store/change_feed.h"
#include "store/tables.h"
#include "tests/service/managed_hubs_fixture.h"

namespace cmkstore::service {
namespace {

class FirstAnswersTest : public ManagedHubsTest {
 protected:
  void SetUp() override {
    ManagedHubsTest::SetUp();
    call_ = Call();
    hub_ = *hubs_.OpenBlocking(*call_, *HubName::Parse("name", kName));
  }
  static absl::Status Conflict() {
    return MakeError(absl::StatusCode::kAborted, "WRITE_CONFLICT", "another write came first");
  }
  BlindName Blind(const std::string& request) const { return hub_.keys->names.Request(request); }
  // A commit that keeps an answer, before it is made.
  store::WriteSet Keep(const std::string& request, const FirstAnswers::Kept& before = {}) {
    store::WriteSet writes;
    storage::v1::FeedRecord feed;
    EXPECT_THAT(answers_.Keep(hub_, request, "digest", before, {}, Conflict(), writes, feed),
                IsOk());
    store::ChangeFeed::Append(writes, feed);
    return writes;
  }
  absl::Status Apply(store::WriteSet writes) {
    return ApplyBlocking(engine_, hub_.partition(), std::move(writes)).status();
  }
  Detached Start(const CallContext& context, const std::string& request,
                 std::optional<absl::StatusOr<FirstAnswers::Kept>>& result) {
    auto finding = answers_.Find(context, hub_, request, "digest");
    result = co_await std::move(finding);
  }
  FirstAnswers::Kept Find(const std::string& request) {
    std::optional<absl::StatusOr<FirstAnswers::Kept>> result;
    const CallContext context{*call_, executor_};
    Start(context, request, result);
    void* tag = nullptr;
    bool ok = false;
    while (!result.has_value() && queue_.Next(&tag, &ok)) {
      static_cast<QueueEvent*>(tag)->Complete(ok);
    }
    EXPECT_THAT(*result, IsOk());
    return **std::move(result);
  }

  grpc::CompletionQueue queue_;
  QueueExecutor executor_{queue_};
  FirstAnswers answers_{hubs_, engine_, random_, clock_};
  std::optional<AdmittedCall> call_;  // whose token lasts for less than an answer
  OpenHub hub_;
};

TEST_F(FirstAnswersTest, AnExpiredAnswerThatIsKeptAnewMeanwhileIsNotRemoved) {
  ASSERT_THAT(Apply(Keep("used again")), IsOk());
  clock_.Advance(absl::Hours(25));
  const FirstAnswers::Kept expired = Find("used again");
  ASSERT_TRUE(expired.expired.has_value());
  std::string remover = "r";
  while (static_cast<uint8_t>(Blind(remover).bytes()[0]) % 16 != 0) remover += "r";
  store::WriteSet removal = Keep(remover);  // has seen the expired one
  ASSERT_THAT(Apply(Keep("used again", expired)), IsOk());
  EXPECT_THAT(Apply(std::move(removal)), FailsWith("WRITE_CONFLICT", ""));
  EXPECT_TRUE(Find("used again").answer.has_value());
  EXPECT_THAT(Apply(Keep(remover)), IsOk()) << "tried again";
}

TEST_F(FirstAnswersTest, ARepeatReadsLittleOfTheFeedBehindItsCommit) {
  ASSERT_THAT(Apply(Keep("repeated")), IsOk());
  for (int i = 0; i < 20; ++i) {
    storage::v1::FeedRecord feed;
    feed.add_changes()->set_sealed_tombstone(std::string(100'000, 't'));
    store::WriteSet writes;
    store::ChangeFeed::Append(writes, feed);
    ASSERT_THAT(Apply(std::move(writes)), IsOk());
  }
  engine_.bytes_scanned = 0;
  EXPECT_TRUE(Find("repeated").answer.has_value());
  EXPECT_LE(engine_.bytes_scanned, 200'000u);
}

}  // namespace
}  // namespace cmkstore::service
