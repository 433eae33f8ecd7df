#include "tests/store/engine_contract.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "base/errors.h"
#include "store/key_layout.h"
#include "tests/store/apply_and_wait.h"
#include "tests/testing/matchers.h"

namespace cmkstore::store {
namespace {

using ::testing::ElementsAre;
using testing::FailsWith;
using testing::IsOk;

std::vector<std::string> KeysOf(const absl::StatusOr<std::vector<Row>>& rows) {
  std::vector<std::string> keys;
  if (rows.ok()) {
    for (const Row& row : *rows) keys.push_back(row.key);
  }
  return keys;
}

}  // namespace

void EngineContractTest::Open(const CommitLimits& limits) {
  engine_.reset();
  engine_ = GetParam().open(absl::StrCat(dir_.path(), "/", opened_++), limits);
  ASSERT_NE(engine_, nullptr);
}

std::optional<std::string> EngineContractTest::Get(const Partition& partition,
                                                   const std::string& key) {
  auto row = engine_->Get(partition, key);
  EXPECT_THAT(row, IsOk());
  return row.ok() ? *row : std::nullopt;
}

TEST_P(EngineContractTest, WhatIsAppliedIsReadInItsPartitionAndInNoOther) {
  ASSERT_THAT(ApplyAndWait(*engine_, hub_, PutOne("k", "v")), IsOk());
  EXPECT_EQ(Get(hub_, "k"), "v");
  EXPECT_EQ(Get(other_, "k"), std::nullopt);
  EXPECT_EQ(Get({0, hub_.prefix}, "k"), std::nullopt) << "the same prefix in another shard";
  ASSERT_THAT(ApplyAndWait(*engine_, hub_, PutOne("k", "w")), IsOk());
  EXPECT_EQ(Get(hub_, "k"), "w");
}

TEST_P(EngineContractTest, ValuesAndKeysMayHoldAnyByte) {
  const std::string key("\0\xff\0k", 4), value("\0\xff\n\0", 4);
  ASSERT_THAT(ApplyAndWait(*engine_, hub_, PutOne(key, value)), IsOk());
  ASSERT_THAT(ApplyAndWait(*engine_, hub_, PutOne("empty", "")), IsOk());
  EXPECT_EQ(Get(hub_, key), value);
  EXPECT_EQ(Get(hub_, "empty"), "");
}

TEST_P(EngineContractTest, ADeletedRowIsAbsentAndDeletingAnAbsentOneIsFine) {
  ASSERT_THAT(ApplyAndWait(*engine_, hub_, PutOne("k", "v")), IsOk());
  WriteSet writes;
  writes.Delete("k");
  writes.Delete("never");
  ASSERT_THAT(ApplyAndWait(*engine_, hub_, std::move(writes)), IsOk());
  EXPECT_EQ(Get(hub_, "k"), std::nullopt);
}

TEST_P(EngineContractTest, WritesOfOneSetTakeEffectInTheirOrder) {
  WriteSet writes;
  writes.PutRecord("a", "1");
  writes.Delete("a");
  writes.Delete("b");
  writes.PutRecord("b", "1");
  writes.PutRecord("b", "2");
  ASSERT_THAT(ApplyAndWait(*engine_, hub_, std::move(writes)), IsOk());
  EXPECT_EQ(Get(hub_, "a"), std::nullopt);
  EXPECT_EQ(Get(hub_, "b"), "2");
}

TEST_P(EngineContractTest, MultiGetAnswersInTheOrderAsked) {
  ASSERT_THAT(ApplyAndWait(*engine_, hub_, PutOne("a", "1")), IsOk());
  ASSERT_THAT(ApplyAndWait(*engine_, hub_, PutOne("b", "2")), IsOk());
  auto rows = engine_->MultiGet(hub_, {"b", "none", "a", "b"}, SIZE_MAX);
  ASSERT_THAT(rows, IsOk());
  EXPECT_THAT(*rows, ElementsAre("2", std::nullopt, "1", "2"));
  EXPECT_TRUE(engine_->MultiGet(hub_, {}, SIZE_MAX)->empty());
}

TEST_P(EngineContractTest, ScanStopsAtItsLimitItsRangeAndItsPartition) {
  for (const char* key : {"d", "b", "a", "c"}) {
    ASSERT_THAT(ApplyAndWait(*engine_, hub_, PutOne(key, absl::StrCat("of ", key))), IsOk());
  }
  ASSERT_THAT(ApplyAndWait(*engine_, other_, PutOne("b2", "")), IsOk());
  EXPECT_THAT(KeysOf(engine_->Scan(hub_, {"b", "z"}, 2)), ElementsAre("b", "c"));
  EXPECT_THAT(KeysOf(engine_->Scan(hub_, {"b", "z"}, 100)), ElementsAre("b", "c", "d"));
  EXPECT_THAT(KeysOf(engine_->Scan(hub_, {"b", "c"}, 100)), ElementsAre("b"));
  EXPECT_THAT(KeysOf(engine_->Scan(hub_, {After("b"), "z"}, 1)), ElementsAre("c"));
  EXPECT_THAT(KeysOf(engine_->Scan(hub_, {"c", "b"}, 100)), ElementsAre());
  EXPECT_THAT(KeysOf(engine_->Scan(hub_, {"a", ""}, 100)), ElementsAre()) << "no end";
  EXPECT_THAT(KeysOf(engine_->Scan(hub_, {"a", "z"}, 0)), ElementsAre());
  EXPECT_EQ((*engine_->Scan(hub_, {"c", "z"}, 1))[0].value, "of c");
}

TEST_P(EngineContractTest, MultiGetEndsWithTheValueThatExceedsItsBytes) {
  for (const char* key : {"a", "b", "c"}) {
    ASSERT_THAT(ApplyAndWait(*engine_, hub_, PutOne(key, std::string(10, *key))), IsOk());
  }
  const std::vector<std::string> keys = {"c", "none", "a", "b", "none"};
  EXPECT_EQ(engine_->MultiGet(hub_, keys, 30)->size(), 5u);
  EXPECT_EQ(engine_->MultiGet(hub_, keys, 29)->size(), 4u) << "what is behind it is not looked for";
  EXPECT_EQ(engine_->MultiGet(hub_, keys, 20)->size(), 4u);
  EXPECT_THAT(*engine_->MultiGet(hub_, keys, 19),
              ElementsAre(std::string(10, 'c'), std::nullopt, std::string(10, 'a')));
  EXPECT_THAT(*engine_->MultiGet(hub_, keys, 0), ElementsAre(std::string(10, 'c')));
}

TEST_P(EngineContractTest, ScanEndsWithTheRowByWhichItsBytesAreEnough) {
  for (const char* key : {"a", "b", "c"}) {
    ASSERT_THAT(ApplyAndWait(*engine_, hub_, PutOne(key, std::string(10, *key))), IsOk());
  }
  EXPECT_THAT(KeysOf(engine_->Scan(hub_, {"a", "z"}, {100, 1})), ElementsAre("a"));
  EXPECT_THAT(KeysOf(engine_->Scan(hub_, {"a", "z"}, {100, 10})), ElementsAre("a"));
  EXPECT_THAT(KeysOf(engine_->Scan(hub_, {"a", "z"}, {100, 11})), ElementsAre("a", "b"));
  EXPECT_THAT(KeysOf(engine_->Scan(hub_, {"a", "z"}, {1, 11})), ElementsAre("a"));
  EXPECT_THAT(KeysOf(engine_->Scan(hub_, {"a", "z"}, {100, 100})), ElementsAre("a", "b", "c"));
}

TEST_P(EngineContractTest, SequencesCountEachPartitionWithoutGaps) {
  EXPECT_EQ(*engine_->LastSequence(hub_), 0u);
  for (Sequence expected = 1; expected <= 5; ++expected) {
    EXPECT_EQ(*ApplyAndWait(*engine_, hub_, PutOne("k", "v")), expected);
  }
  EXPECT_EQ(*ApplyAndWait(*engine_, other_, PutOne("k", "v")), 1u);
  EXPECT_EQ(*ApplyAndWait(*engine_, hub_, WriteSet()), 6u) << "an empty set takes one as well";
  EXPECT_EQ(*engine_->LastSequence(hub_), 6u);
  EXPECT_EQ(*engine_->LastSequence(other_), 1u);
}

TEST_P(EngineContractTest, FeedRowsStandUnderTheSequenceOfTheirCommit) {
  for (int i = 1; i <= 4; ++i) {
    WriteSet writes = PutOne("k", "v");
    if (i != 3) writes.SetFeedRecord(absl::StrCat("change ", i));
    ASSERT_THAT(ApplyAndWait(*engine_, hub_, std::move(writes)), IsOk());
  }
  auto rows = engine_->Scan(hub_, {FeedKey(2), TableRange(Table::kFeed).end}, 10);
  EXPECT_THAT(KeysOf(rows), ElementsAre(FeedKey(2), FeedKey(4)));
  EXPECT_EQ((*rows)[1].value, "change 4");
}

TEST_P(EngineContractTest, AFailedPreconditionGivesItsErrorWritesNothingAndTakesNoSequence) {
  ASSERT_THAT(ApplyAndWait(*engine_, hub_, PutOne("k", "abc")), IsOk());
  WriteSet absent = PutOne("x", "1");
  absent.RequireAbsent("k", AlreadyExists("document"));
  WriteSet present = PutOne("x", "1");
  present.RequirePresent("missing", NotFound("document"));
  WriteSet begins = PutOne("x", "1");
  begins.RequirePresent("k", NotFound("document"));
  begins.RequireBeginsWith("k", "abd", EtagMismatch());
  WriteSet begins_absent = PutOne("x", "1");
  begins_absent.RequireBeginsWith("missing", "", EtagMismatch());
  WriteSet longer = PutOne("x", "1");
  longer.RequireBeginsWith("k", "abcd", EtagMismatch());
  WriteSet equals_part = PutOne("x", "1");
  equals_part.RequireEquals("k", "ab", EtagMismatch());
  WriteSet equals_absent = PutOne("x", "1");
  equals_absent.RequireEquals("missing", "", EtagMismatch());
  EXPECT_THAT(ApplyAndWait(*engine_, hub_, std::move(absent)),
              FailsWith("DOCUMENT_ALREADY_EXISTS", ""));
  EXPECT_THAT(ApplyAndWait(*engine_, hub_, std::move(present)),
              FailsWith("DOCUMENT_NOT_FOUND", ""));
  EXPECT_THAT(ApplyAndWait(*engine_, hub_, std::move(begins)), FailsWith("ETAG_MISMATCH", ""));
  EXPECT_THAT(ApplyAndWait(*engine_, hub_, std::move(begins_absent)),
              FailsWith("ETAG_MISMATCH", ""));
  EXPECT_THAT(ApplyAndWait(*engine_, hub_, std::move(longer)), FailsWith("ETAG_MISMATCH", ""));
  EXPECT_THAT(ApplyAndWait(*engine_, hub_, std::move(equals_part)), FailsWith("ETAG_MISMATCH", ""));
  EXPECT_THAT(ApplyAndWait(*engine_, hub_, std::move(equals_absent)),
              FailsWith("ETAG_MISMATCH", ""));
  EXPECT_EQ(Get(hub_, "x"), std::nullopt);
  EXPECT_EQ(*engine_->LastSequence(hub_), 1u);
}

TEST_P(EngineContractTest, APreconditionThatHoldsLetsTheWritesThrough) {
  WriteSet absent = PutOne("k", "abc");
  absent.RequireAbsent("k", AlreadyExists("document"));
  WriteSet begins = PutOne("k", "xyz");
  begins.RequirePresent("k", NotFound("document"));
  begins.RequireBeginsWith("k", "ab", EtagMismatch());
  begins.RequireEquals("k", "abc", EtagMismatch());
  EXPECT_THAT(ApplyAndWait(*engine_, hub_, std::move(absent)), IsOk());
  EXPECT_THAT(ApplyAndWait(*engine_, hub_, std::move(begins)), IsOk());
  EXPECT_EQ(Get(hub_, "k"), "xyz");
}

}  // namespace cmkstore::store
