// IntegrityWalk: what a sound hub looks like, and each fault that it finds. Every case takes one
// row of a sound store away, or changes it.

#include "store/integrity_walk.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "crypto/sealed_document.h"
#include "store/documents_table.h"
#include "store/key_layout.h"

namespace cmkstore::store {
namespace {

using storage::v1::FeedChange;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// A header as an envelope has it; the rest is noise that no walk can tell from a ciphertext.
std::string Envelope(char dek, uint64_t revision) {
  std::string bytes = {'\x43', '\x4b', '\x01', '\x02', 0, 0, 0, 0};
  bytes += std::string(16, dek);
  AppendU64(revision, bytes);
  return bytes + std::string(120, 'n');
}

class IntegrityWalkTest : public ::testing::Test {
 protected:
  IntegrityWalkTest() {
    storage::v1::HubRecord hub;
    hub.set_uid(hub_);
    hub.set_tenant("t1");
    hub.set_hub("h1");
    hub.set_state(storage::v1::HUB_STATE_ACTIVE);
    hub.set_sealed_body(Envelope('D', 1));
    rows_[Catalog(Table::kHubsByName, "tenant")] = hub.SerializeAsString();
    storage::v1::DekRecord dek;
    dek.set_dek_id(std::string(16, 'D'));
    dek.set_generation(1);
    dek.set_kek_id("kek");
    dek.set_ciphertext("wrapped");
    dek.set_check("check");
    rows_[Hub(Table::kDeks, "\x01")] = dek.SerializeAsString();
    rows_[Hub(Table::kHubSecrets, "")] = Envelope('D', 1);
    storage::v1::ProjectRecord project;
    project.set_uid(project_);
    project.set_sealed_body(Envelope('D', 1));
    rows_[Hub(Table::kProjects, "p")] = project.SerializeAsString();
    Put('a', 1);
    Put('b', 1);
    Put('a', 2);
    Delete('b', 2);
    Put('b', 1);
  }

  std::string Hub(Table table, const std::string& rest) const {
    return hub_ + static_cast<char>(table) + rest;
  }
  static std::string Catalog(Table table, const std::string& rest) {
    return CatalogPartition().prefix + static_cast<char>(table) + rest;
  }
  std::string DocumentKeyOf(char document) const {
    return Hub(Table::kDocuments, project_ + std::string(16, 'C') + std::string(16, document));
  }
  void Feed(FeedChange::Kind kind, char document, uint64_t revision) {
    storage::v1::FeedRecord record;
    FeedChange& change = *record.add_changes();
    change.set_kind(kind);
    change.set_project_uid(project_);
    change.set_blind_collection(std::string(16, 'C'));
    change.set_blind_document(std::string(16, document));
    change.set_revision(revision);
    if (kind == FeedChange::KIND_DOCUMENT_DELETED) change.set_sealed_tombstone(Envelope('D', 1));
    rows_[hub_ + FeedKey(++sequence_)] = record.SerializeAsString();
    std::string state;
    AppendU64(sequence_, state);
    rows_[hub_ + PartitionStateKey()] = state;
  }
  void Put(char document, uint64_t revision) {
    Feed(FeedChange::KIND_DOCUMENT_PUT, document, revision);
    rows_[DocumentKeyOf(document)] = Envelope('D', revision);
  }
  void Delete(char document, uint64_t revision) {
    Feed(FeedChange::KIND_DOCUMENT_DELETED, document, revision);
    rows_.erase(DocumentKeyOf(document));
  }

  std::vector<std::string> Walk(uint32_t shard = 0) {
    std::vector<std::string> found;
    IntegrityWalk walk([&](IntegrityFinding one) {
      found.push_back(one.what);
      last_ = std::move(one);
    });
    walk.BeginShard(0);
    for (const auto& [key, value] : rows_) {
      if (shard != 0 && key >= hub_) continue;
      walk.Add(key, value);
    }
    walk.EndShard();
    if (shard != 0) {
      walk.BeginShard(shard);
      for (auto row = rows_.lower_bound(hub_); row != rows_.end(); ++row) {
        walk.Add(row->first, row->second);
      }
      walk.EndShard();
    }
    walk.Finish();
    counts_ = walk.counts();
    return found;
  }

  const std::string hub_ = std::string(16, 'H'), project_ = std::string(16, 'P');
  std::map<std::string, std::string> rows_;
  Sequence sequence_ = 0;
  IntegrityCounts counts_;
  IntegrityFinding last_;
};

TEST_F(IntegrityWalkTest, ASoundStoreHasNoFindings) {
  EXPECT_THAT(Walk(), IsEmpty());
  EXPECT_EQ(counts_.documents, 2u);
  EXPECT_EQ(counts_.feed_records, 5u);
  EXPECT_EQ(counts_.hubs, 1u);
}

TEST_F(IntegrityWalkTest, ALostDocumentIsFoundByItsFeed) {
  rows_.erase(DocumentKeyOf('a'));
  EXPECT_THAT(Walk(), ElementsAre(HasSubstr("are not what the change feed says")));
}

TEST_F(IntegrityWalkTest, ADocumentOfAnEarlierRevisionIsFound) {
  rows_[DocumentKeyOf('a')] = Envelope('D', 1);
  EXPECT_THAT(Walk(), ElementsAre(HasSubstr("are not what the change feed says")));
}

TEST_F(IntegrityWalkTest, EachLostFeedEntryIsFound) {
  const auto sound = rows_;
  for (Sequence sequence = 1; sequence <= sequence_; ++sequence) {
    rows_ = sound;
    rows_.erase(hub_ + FeedKey(sequence));
    EXPECT_THAT(Walk(), ElementsAre(HasSubstr("are not what the change feed says"))) << sequence;
  }
}

TEST_F(IntegrityWalkTest, AFeedBeyondTheLastSequenceIsFound) {
  std::string state;
  AppendU64(sequence_ - 1, state);
  rows_[hub_ + PartitionStateKey()] = state;
  EXPECT_THAT(Walk(), ElementsAre(HasSubstr("further than the hub's last sequence")));
}

TEST_F(IntegrityWalkTest, NumbersThatARestoreLeftOutAreSoundUpToTheLastSequence) {
  storage::v1::SkippedSequences skipped;
  skipped.add_ranges()->set_after(sequence_);
  skipped.mutable_ranges(0)->set_until(1000);
  rows_[Hub(Table::kSkipped, "")] = skipped.SerializeAsString();
  EXPECT_THAT(Walk(), ElementsAre(HasSubstr("left out numbers above")));
  sequence_ = 1000;
  Put('c', 1);
  EXPECT_THAT(Walk(), IsEmpty());
  rows_[Hub(Table::kSkipped, "")] = "\xff";
  EXPECT_THAT(Walk(), ElementsAre(HasSubstr("left out does not parse")));
}

TEST_F(IntegrityWalkTest, AKeyChangeThatDoesNotParseIsFound) {
  rows_[Hub(Table::kKeyChange, "")] = "\xff";
  EXPECT_THAT(Walk(), ElementsAre(HasSubstr("a change of the hub's key does not parse")));
}

TEST_F(IntegrityWalkTest, AnEnvelopeWithoutItsDekIsFound) {
  rows_[DocumentKeyOf('a')] = Envelope('X', 2);
  EXPECT_THAT(Walk(), ElementsAre(HasSubstr("of which there is no record")));
}

TEST_F(IntegrityWalkTest, MissingKeysAreFound) {
  rows_.erase(Hub(Table::kHubSecrets, ""));
  EXPECT_THAT(Walk(), ElementsAre("the keys of a hub are missing"));
}

TEST_F(IntegrityWalkTest, AFindingNamesTheHubAsItsOwnerKnowsIt) {
  rows_.erase(Hub(Table::kHubSecrets, ""));
  ASSERT_EQ(Walk().size(), 1u);
  EXPECT_EQ(last_.tenant, "t1");
  EXPECT_EQ(last_.hub, "h1");
  EXPECT_EQ(last_.hub_uid, "48484848484848484848484848484848");
  rows_.erase(rows_.lower_bound(hub_), rows_.end());
  ASSERT_EQ(Walk().size(), 1u);
  EXPECT_EQ(last_.hub, "h1") << "one without rows too";
}

TEST_F(IntegrityWalkTest, EveryBitOfAHeaderThatNoEnvelopeHasIsFound) {
  const std::string sound = rows_[DocumentKeyOf('a')];
  for (size_t bit = 0; bit < 8 * 8; ++bit) {
    if (bit / 8 == 4) continue;  // flags: some of them are sound too
    std::string damaged = sound;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << bit % 8));
    rows_[DocumentKeyOf('a')] = damaged;
    EXPECT_THAT(Walk(), ::testing::Contains("the envelope of a document is damaged")) << bit;
  }
}

TEST_F(IntegrityWalkTest, RecordsThatDoNotParseAreFound) {
  rows_[Hub(Table::kDeks, "\x01")] = "\xff";
  rows_[Hub(Table::kProjects, "p")] = "\xff";
  EXPECT_THAT(Walk(),
              ::testing::IsSupersetOf({std::string("the record of a DEK is damaged"),
                                       std::string("the record of a project does not parse")}));
  rows_[Catalog(Table::kHubsByName, "tenant")] = "\xff";
  EXPECT_THAT(Walk(), ::testing::Contains("the record of a hub does not parse"));
}

TEST_F(IntegrityWalkTest, AHubWithoutRowsAndRowsInTheWrongShardAreFound) {
  EXPECT_THAT(Walk(/*shard=*/1), ElementsAre(HasSubstr("in another shard")));
  rows_.erase(rows_.lower_bound(hub_), rows_.end());
  EXPECT_THAT(Walk(), ElementsAre("no row of the hub is there"));
}

TEST_F(IntegrityWalkTest, RowsThatNoNameLeadsToAreCountedAndNoError) {
  rows_.erase(Catalog(Table::kHubsByName, "tenant"));
  EXPECT_THAT(Walk(), IsEmpty());
  EXPECT_EQ(counts_.unnamed_hubs, 1u);
}

TEST_F(IntegrityWalkTest, WhatCannotBeReadIsSkippedAndItsHubsAreNotJudged) {
  const std::string later(16, 'J');
  storage::v1::HubRecord hub;
  hub.set_uid(later);
  hub.set_hub("h2");
  hub.set_sealed_body(Envelope('D', 1));
  rows_[Catalog(Table::kHubsByName, "tenant2")] = hub.SerializeAsString();
  std::vector<std::string> found;
  IntegrityWalk walk(
      [&](const IntegrityFinding& one) { found.push_back(absl::StrCat(one.hub, ": ", one.what)); });
  walk.BeginShard(0);
  for (const auto& [key, value] : rows_) {
    if (key < DocumentKeyOf('a')) walk.Add(key, value);
  }
  walk.SkipUnreadable(100 << 10);
  walk.Add(later + static_cast<char>(Table::kHubSecrets),
           Envelope('D', 1));  // its DEK is not there
  walk.SkipUnreadable(16 << 10);
  walk.Add(later + static_cast<char>(Table::kDocuments), "of no use");
  walk.EndShard();
  walk.Finish();
  EXPECT_THAT(found, ElementsAre(HasSubstr("h1: rows of this hub, or of those beside it"),
                                 HasSubstr("h2: its first rows may be among those before it"),
                                 HasSubstr("h2: rows of this hub, or of those beside it"),
                                 HasSubstr("h2: the key of a document is malformed")));
  EXPECT_THAT(found[0], HasSubstr("about 101 KiB are skipped"));
  EXPECT_EQ(walk.counts().skipped_bytes, 116u << 10);
  EXPECT_TRUE(walk.knows_all_hubs());

  IntegrityWalk blind([](const IntegrityFinding&) {});
  blind.BeginShard(0);
  blind.SkipUnreadable(1);  // of the catalog nothing was read
  blind.EndShard();
  EXPECT_FALSE(blind.knows_all_hubs());
}

TEST_F(IntegrityWalkTest, AHubWhoseRowsMayAllBeUnreadableIsNotSaidToHaveNone) {
  storage::v1::HubRecord hub;
  hub.set_uid(std::string(16, 'J'));
  hub.set_hub("h2");
  hub.set_sealed_body(Envelope('D', 1));
  rows_[Catalog(Table::kHubsByName, "tenant2")] = hub.SerializeAsString();
  // What is said of it where a part before `behind_gap` cannot be read.
  const auto said = [&](const std::string& behind_gap) {
    std::string what;
    IntegrityWalk walk([&](const IntegrityFinding& one) {
      if (one.hub == "h2") what = one.what;
    });
    bool gap = false;
    walk.BeginShard(0);
    for (const auto& [key, value] : rows_) {
      if (key >= behind_gap && !gap) {
        walk.SkipUnreadable(1);
        gap = true;
      }
      walk.Add(key, value);
    }
    if (!gap) walk.SkipUnreadable(1);
    walk.EndShard();
    walk.Finish();
    return what;
  };
  EXPECT_EQ(said(hub_), "no row of the hub is there") << "its own would be behind these";
  EXPECT_EQ(said(DocumentKeyOf('a')), "no row of the hub is there") << "all are one other hub's";
  EXPECT_THAT(said(std::string(16, 'K')), HasSubstr("no row of the hub could be read"));
  rows_[std::string(16, 'L') + static_cast<char>(Table::kDocuments)] = "of no use";
  EXPECT_THAT(said(std::string(16, 'K')), HasSubstr("no row of the hub could be read"));
}

TEST_F(IntegrityWalkTest, DocumentsOfADeletedProjectMayGoWithoutFeedEntries) {
  rows_.erase(Hub(Table::kProjects, "p"));
  rows_.erase(DocumentKeyOf('a'));
  EXPECT_THAT(Walk(), IsEmpty());
}

}  // namespace
}  // namespace cmkstore::store
