// The part of the contract suite that is about the queue: what is enqueued together, what runs at
// the same time, and where it ends.

#include <atomic>
#include <map>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/blocking_counter.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "base/errors.h"
#include "store/counter_row.h"
#include "tests/store/apply_and_wait.h"
#include "tests/store/engine_contract.h"
#include "tests/testing/matchers.h"

namespace cmkstore::store {

using testing::FailsWith;
using testing::IsOk;

// All of these are in the queue at once, so that an engine that batches must let each one see the
// ones before it.
TEST_P(EngineContractTest, PreconditionsSeeWhatWasEnqueuedBefore) {
  std::vector<absl::StatusOr<Sequence>> results(6);
  absl::BlockingCounter left(6);
  HeldCommits held(*engine_, other_);
  const auto apply = [&](size_t at, WriteSet writes) {
    engine_->Apply(hub_, std::move(writes), [&, at](absl::StatusOr<Sequence> result) {
      results[at] = std::move(result);
      left.DecrementCount();
    });
  };
  WriteSet create = PutOne("k", "1;"), create_again = PutOne("k", "other"),
           update = PutOne("k", "2;"), stale = PutOne("k", "3;"), remove, after = PutOne("x", "");
  create.RequireAbsent("k", AlreadyExists("document"));
  create_again.RequireAbsent("k", AlreadyExists("document"));
  update.RequireBeginsWith("k", "1;", EtagMismatch());
  stale.RequireBeginsWith("k", "1;", EtagMismatch());
  remove.RequirePresent("k", NotFound("document"));
  remove.Delete("k");
  after.RequirePresent("k", NotFound("document"));
  apply(0, std::move(create));
  apply(1, std::move(create_again));
  apply(2, std::move(update));
  apply(3, std::move(stale));
  apply(4, std::move(remove));
  apply(5, std::move(after));
  held.Release();
  left.Wait();
  EXPECT_EQ(results[0].value_or(0), 1u);
  EXPECT_THAT(results[1], FailsWith("DOCUMENT_ALREADY_EXISTS", ""));
  EXPECT_EQ(results[2].value_or(0), 2u);
  EXPECT_THAT(results[3], FailsWith("ETAG_MISMATCH", ""));
  EXPECT_EQ(results[4].value_or(0), 3u);
  EXPECT_THAT(results[5], FailsWith("DOCUMENT_NOT_FOUND", ""));
  EXPECT_EQ(Get(hub_, "k"), std::nullopt);
  EXPECT_EQ(Get(hub_, "x"), std::nullopt);
}

TEST_P(EngineContractTest, ThatNothingIsUnderAPrefixIsSeenWithWhatWasEnqueuedBefore) {
  ASSERT_THAT(ApplyAndWait(*engine_, hub_, PutOne("p1/old", "v")), IsOk());
  ASSERT_THAT(ApplyAndWait(*engine_, hub_, PutOne("p2", "beside it")), IsOk());
  ASSERT_THAT(ApplyAndWait(*engine_, other_, PutOne("p1/others", "v")), IsOk());
  std::vector<absl::StatusOr<Sequence>> results(5);
  absl::BlockingCounter left(5);
  HeldCommits held(*engine_, other_);
  const auto apply = [&](size_t at, WriteSet writes) {
    engine_->Apply(hub_, std::move(writes), [&, at](absl::StatusOr<Sequence> result) {
      results[at] = std::move(result);
      left.DecrementCount();
    });
  };
  const auto if_empty = [](const char* key) {
    WriteSet writes = PutOne(key, "");
    writes.RequireNoneWithPrefix("p1/", StateInvalid("not empty"));
    return writes;
  };
  WriteSet remove;
  remove.Delete("p1/old");
  apply(0, if_empty("x0"));
  apply(1, std::move(remove));
  apply(2, if_empty("x2"));
  apply(3, PutOne("p1/new", "v"));
  apply(4, if_empty("x4"));
  held.Release();
  left.Wait();
  EXPECT_THAT(results[0], FailsWith("STATE_INVALID", "not empty"));
  EXPECT_THAT(results[1], IsOk());
  EXPECT_THAT(results[2], IsOk());
  EXPECT_THAT(results[3], IsOk());
  EXPECT_THAT(results[4], FailsWith("STATE_INVALID", "not empty"));
  EXPECT_THAT(ApplyAndWait(*engine_, hub_, if_empty("x")), FailsWith("STATE_INVALID", ""));
  EXPECT_EQ(Get(hub_, "x4"), std::nullopt);
}

TEST_P(EngineContractTest, AddsAreSummedWithWhatWasEnqueuedBeforeAndAloneTakeNoSequence) {
  const auto add = [](std::vector<int64_t> numbers) {
    WriteSet writes;
    writes.Add("sum", EncodeCounters(numbers));
    return writes;
  };
  EXPECT_EQ(ApplyAndWait(*engine_, hub_, add({1})).value_or(9), 0u);
  std::vector<absl::StatusOr<Sequence>> results(4);
  absl::BlockingCounter left(4);
  {
    HeldCommits held(*engine_, other_);
    WriteSet with_row = add({1, 10}), refused = add({1000});
    with_row.PutRecord("k", "v");
    refused.RequirePresent("never", NotFound("document"));
    const auto apply = [&](size_t at, WriteSet writes) {
      engine_->Apply(hub_, std::move(writes), [&, at](absl::StatusOr<Sequence> result) {
        results[at] = std::move(result);
        left.DecrementCount();
      });
    };
    apply(0, add({2, 5, -7}));
    apply(1, std::move(with_row));
    apply(2, std::move(refused));
    apply(3, add({-3}));
    held.Release();
    left.Wait();
  }
  EXPECT_EQ(results[0].value_or(9), 0u) << "the partition has no sequence yet";
  EXPECT_EQ(results[1].value_or(9), 1u);
  EXPECT_THAT(results[2], FailsWith("DOCUMENT_NOT_FOUND", ""));
  EXPECT_EQ(results[3].value_or(9), 1u);
  std::vector<int64_t> sums(3);
  DecodeCounters(Get(hub_, "sum").value_or(""), sums);
  EXPECT_EQ(sums, (std::vector<int64_t>{1, 15, -7}));
  EXPECT_EQ(*engine_->LastSequence(hub_), 1u);
}

TEST_P(EngineContractTest, CompletionsRunOnAThreadOfTheEngineNotTheCallers) {
  std::thread::id ran_on;
  absl::Notification finished;
  engine_->Apply(hub_, PutOne("k", "v"), [&](const absl::StatusOr<Sequence>&) {
    ran_on = std::this_thread::get_id();
    finished.Notify();
  });
  finished.WaitForNotification();
  EXPECT_NE(ran_on, std::this_thread::get_id());
}

TEST_P(EngineContractTest, ApplyDoesNotWaitForTheCommitInHand) {
  std::atomic<bool> finished = false;
  absl::Notification second;
  HeldCommits held(*engine_, hub_);
  engine_->Apply(hub_, PutOne("k", "v"), [&](const absl::StatusOr<Sequence>&) {
    finished = true;
    second.Notify();
  });
  EXPECT_FALSE(finished);
  EXPECT_EQ(Get(hub_, "held"), "") << "reads go on meanwhile";
  held.Release();
  second.WaitForNotification();
}

TEST_P(EngineContractTest, ACompletionMayApplyAgain) {
  absl::Notification finished;
  absl::StatusOr<Sequence> second;
  engine_->Apply(hub_, PutOne("a", "1"), [&](const absl::StatusOr<Sequence>&) {
    engine_->Apply(hub_, PutOne("b", "2"), [&](absl::StatusOr<Sequence> result) {
      second = std::move(result);
      finished.Notify();
    });
  });
  finished.WaitForNotification();
  EXPECT_EQ(*second, 2u);
}

TEST_P(EngineContractTest, ClosingCommitsWhatIsQueuedAndAnswersIt) {
  std::atomic<int> answered = 0;
  for (int i = 0; i < 100; ++i) {
    engine_->Apply(hub_, PutOne("k", "v"),
                   [&](const absl::StatusOr<Sequence>& result) { answered += result.ok(); });
  }
  engine_.reset();
  EXPECT_EQ(answered, 100);
}

TEST_P(EngineContractTest, OfConcurrentCreatorsExactlyOneWins) {
  constexpr int kWriters = 64;
  std::atomic<int> won = 0;
  absl::BlockingCounter left(kWriters);
  for (int i = 0; i < kWriters; ++i) {
    WriteSet writes = PutOne("k", absl::StrCat(i));
    writes.RequireAbsent("k", AlreadyExists("document"));
    engine_->Apply(hub_, std::move(writes), [&](const absl::StatusOr<Sequence>& result) {
      won += result.ok();
      left.DecrementCount();
    });
  }
  left.Wait();
  EXPECT_EQ(won, 1);
}

// Linearizable: increments by compare-and-set from many threads lose none, and the numbers of the
// commits that won are the partition's without gaps.
TEST_P(EngineContractTest, CompareAndSetLosesNoIncrement) {
  ASSERT_THAT(ApplyAndWait(*engine_, hub_, PutOne("n", "0;")), IsOk());
  constexpr int kThreads = 8, kEach = 25;
  absl::Mutex mutex;
  std::map<Sequence, int> sequences;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&] {
      for (int done = 0; done < kEach;) {
        const std::string now = *Get(hub_, "n");
        WriteSet writes = PutOne("n", absl::StrCat(std::stoi(now) + 1, ";"));
        writes.RequireBeginsWith("n", now, EtagMismatch());
        const auto sequence = ApplyAndWait(*engine_, hub_, std::move(writes));
        if (!sequence.ok()) continue;
        ++done;
        absl::MutexLock lock(&mutex);
        ++sequences[*sequence];
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(Get(hub_, "n"), absl::StrCat(kThreads * kEach, ";"));
  EXPECT_EQ(sequences.size(), kThreads * kEach);
  EXPECT_EQ(sequences.rbegin()->first, kThreads * kEach + 1);
}

// Each commit writes its number into all rows, so a reader that sees two numbers saw half a commit.
TEST_P(EngineContractTest, ScanAndMultiGetSeeWholeCommitsOnly) {
  constexpr int kRows = 30;
  std::vector<std::string> keys;
  for (int i = 0; i < kRows; ++i) keys.push_back(absl::StrCat("row", 100 + i));
  const auto write_all = [&](int number) {
    WriteSet writes;
    for (const std::string& key : keys) writes.PutRecord(key, absl::StrCat(number));
    return ApplyAndWait(*engine_, hub_, std::move(writes));
  };
  ASSERT_THAT(write_all(0), IsOk());
  std::atomic<bool> stop = false;
  std::thread writer([&] {
    for (int number = 1; !stop; ++number) EXPECT_THAT(write_all(number), IsOk());
  });
  for (int round = 0; round < 300; ++round) {
    auto rows = engine_->Scan(hub_, {"row", "rox"}, 1000);
    ASSERT_THAT(rows, IsOk());
    ASSERT_EQ(rows->size(), kRows);
    for (const Row& row : *rows) ASSERT_EQ(row.value, rows->front().value);
    auto values = engine_->MultiGet(hub_, keys, SIZE_MAX);
    ASSERT_THAT(values, IsOk());
    for (const auto& value : *values) ASSERT_EQ(value, values->front());
  }
  stop = true;
  writer.join();
}

TEST_P(EngineContractTest, AQueueOfTooManyWritesAnswersBusyAndGoesOnOnceItHasDrained) {
  CommitLimits limits;
  limits.max_queued_writes = 4;
  Open(limits);
  std::atomic<int> committed = 0;
  {
    HeldCommits held(*engine_, hub_);
    for (int i = 0; i < 4; ++i) {
      engine_->Apply(hub_, PutOne("k", "v"),
                     [&](const absl::StatusOr<Sequence>& result) { committed += result.ok(); });
    }
    EXPECT_THAT(ApplyAndWait(*engine_, hub_, PutOne("k", "v")), FailsWith("STORE_BUSY", ""));
    EXPECT_EQ(committed, 0);
  }
  // A refused Apply may come between; the queue drains by itself.
  while (!ApplyAndWait(*engine_, hub_, PutOne("k", "v")).ok()) {
  }
  EXPECT_EQ(committed, 4);
}

TEST_P(EngineContractTest, AQueueOfTooManyBytesAnswersBusy) {
  CommitLimits limits;
  limits.max_queued_bytes = 10;
  Open(limits);
  EXPECT_THAT(ApplyAndWait(*engine_, hub_, PutOne("k", std::string(100, 'v'))),
              FailsWith("STORE_BUSY", ""));
  EXPECT_THAT(ApplyAndWait(*engine_, hub_, PutOne("k", "v")), IsOk());
}

TEST_P(EngineContractTest, WriteSetsLargerThanABatchAreCommittedAllTheSame) {
  CommitLimits limits;
  limits.max_batch_bytes = 100;
  Open(limits);
  absl::BlockingCounter left(10);
  {
    HeldCommits held(*engine_, other_);
    for (size_t i = 0; i < 10; ++i) {
      engine_->Apply(hub_, PutOne(absl::StrCat("k", i), std::string(i * 30, 'v')),
                     [&](const absl::StatusOr<Sequence>& result) {
                       EXPECT_THAT(result, IsOk());
                       left.DecrementCount();
                     });
    }
  }
  left.Wait();
  EXPECT_EQ(engine_->Scan(hub_, {"k", "l"}, 100)->size(), 10u);
  EXPECT_EQ(*engine_->LastSequence(hub_), 10u);
}

TEST_P(EngineContractTest, APartitionThatCannotBeIsAnError) {
  for (const Partition& partition : {Partition{2, hub_.prefix}, Partition{0, "short"}}) {
    EXPECT_THAT(engine_->Get(partition, "k"), FailsWith("INVARIANT", "partition"));
    EXPECT_THAT(engine_->MultiGet(partition, {"k"}, SIZE_MAX), FailsWith("INVARIANT", "partition"));
    EXPECT_THAT(engine_->Scan(partition, {"a", "b"}, 1), FailsWith("INVARIANT", "partition"));
    EXPECT_THAT(engine_->LastSequence(partition), FailsWith("INVARIANT", "partition"));
    EXPECT_THAT(engine_->DropPartition(partition), FailsWith("INVARIANT", "partition"));
    EXPECT_THAT(ApplyAndWait(*engine_, partition, PutOne("k", "v")),
                FailsWith("INVARIANT", "partition"));
  }
}

TEST_P(EngineContractTest, ADroppedPartitionIsGoneStartsAnewAndItsNeighbourIsUntouched) {
  for (const char* key : {"a", "b"}) {
    ASSERT_THAT(ApplyAndWait(*engine_, hub_, PutOne(key, "v")), IsOk());
  }
  ASSERT_THAT(ApplyAndWait(*engine_, other_, PutOne("k", "v")), IsOk());
  ASSERT_THAT(engine_->DropPartition(hub_), IsOk());
  EXPECT_EQ(Get(hub_, "a"), std::nullopt);
  EXPECT_EQ(engine_->Scan(hub_, {"", "\xff"}, 10)->size(), 0u);
  EXPECT_EQ(*engine_->LastSequence(hub_), 0u);
  EXPECT_EQ(Get(other_, "k"), "v");
  EXPECT_EQ(*ApplyAndWait(*engine_, hub_, PutOne("a", "w")), 1u);
  EXPECT_EQ(Get(hub_, "a"), "w");
  EXPECT_THAT(engine_->DropPartition({0, other_.prefix}), IsOk()) << "never written";
}

// A drop takes its turn in the queue: what was accepted before it must not come back after it.
TEST_P(EngineContractTest, ADropRemovesWhatWasQueuedBeforeIt) {
  ASSERT_THAT(ApplyAndWait(*engine_, hub_, PutOne("old", "v")), IsOk());
  std::thread dropper;
  std::atomic<bool> dropped = false;
  {
    HeldCommits held(*engine_, other_);
    for (int i = 0; i < 20; ++i) {
      engine_->Apply(hub_, PutOne(absl::StrCat("queued", i), "v"),
                     [](const absl::StatusOr<Sequence>& result) { EXPECT_THAT(result, IsOk()); });
    }
    dropper = std::thread([&] {
      EXPECT_THAT(engine_->DropPartition(hub_), IsOk());
      dropped = true;
    });
  }
  dropper.join();
  EXPECT_TRUE(dropped);
  EXPECT_EQ(engine_->Scan(hub_, {"", "\xff"}, 100)->size(), 0u);
  EXPECT_EQ(*engine_->LastSequence(hub_), 0u);
}

}  // namespace cmkstore::store
