#pragma once

#include <memory>
#include <string>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "search/index_follower.h"
#include "search/index_set.h"
#include "tests/search/fake_change_source.h"
#include "tests/testing/virtual_clock.h"

namespace cmkstore::search {

// A set of indexes over real files and their follower, on a feed in memory.
class IndexSetTest : public ::testing::Test {
 protected:
  void OpenSet(size_t max_open = 256) {
    IndexSetOptions options;
    options.directory = dir_.path() + "/indexes";
    options.max_open = max_open;
    follower_.reset();
    set_.reset();
    auto set = IndexSet::Create(options, source_);
    ASSERT_THAT(set, IsOk());
    set_ = *std::move(set);
    follower_ = std::make_unique<IndexFollower>(
        IndexFollowerOptions(), *set_, source_, clock_,
        [this](HubUid) { absl::MutexLock wakes_who_waits(&mutex_); });
  }
  // Returns when the follower says that it is level, or why it is not.
  absl::Status Follow() {
    follower_->Hurry(hub_, *source_.LastSequence(hub_));
    return AwaitLevel();
  }
  absl::Status AwaitLevel() {
    const uint64_t last = *source_.LastSequence(hub_);
    absl::MutexLock lock(&mutex_);
    const auto settled = [&] {
      return follower_->IndexedSequence(hub_) >= last || !follower_->FailureOf(hub_).ok();
    };
    mutex_.Await(absl::Condition(&settled));
    return follower_->FailureOf(hub_);
  }
  absl::Status Rebuild() {
    return follower_->Rebuild(hub_, [](uint64_t) { return absl::OkStatus(); });
  }
  // Ticks until the index has been rebuilt so often, at most for some seconds.
  bool AwaitRebuilt(uint64_t times) {
    const absl::Time give_up = absl::Now() + absl::Seconds(20);
    while (set_->Stats().rebuilt < times && absl::Now() < give_up) {
      clock_.Advance(IndexFollowerOptions().retry_at_most);
      follower_->Tick();
      std::this_thread::yield();
    }
    return set_->Stats().rebuilt >= times;
  }
  uint64_t Count(const std::string& word) {
    SearchQuery query;
    query.text = word;
    auto index = set_->Open(hub_);
    EXPECT_THAT(index, IsOk());
    if (!index.ok()) return 0;
    auto found = (*index)->Search(query);
    EXPECT_THAT(found, IsOk());
    return found.ok() ? found->total : 0;
  }
  void Fill(int documents) {
    for (int i = 0; i < documents; ++i) {
      source_.Write(absl::StrCat("doc", i), R"({"text": "canary"})");
    }
  }
  std::string path() const { return dir_.path() + "/indexes/" + hub_.ToHex() + ".index"; }

  testing::TempDir dir_;
  crypto::SystemRandom random_;
  HubUid hub_ = random_.NewUid<HubUid>();
  FakeChangeSource source_{random_.Secret(32)};
  testing::VirtualClock clock_;
  absl::Mutex mutex_;
  std::unique_ptr<IndexSet> set_;
  std::unique_ptr<IndexFollower> follower_;
};

}  // namespace cmkstore::search
