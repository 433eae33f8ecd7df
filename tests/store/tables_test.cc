#include "store/tables.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/escaping.h"
#include "base/errors.h"
#include "store/change_feed.h"
#include "store/documents_table.h"
#include "store/memory/memory_engine.h"
#include "tests/store/apply_and_wait.h"
#include "tests/testing/matchers.h"

namespace cmkstore::store {
namespace {

using ::testing::ElementsAre;
using testing::FailsWith;
using testing::IsOk;

template <typename T>
T UidOf(char fill) {
  return *T::FromBytes(std::string(16, fill));
}

DocumentKey KeyAt(char project, char collection, char document) {
  return {UidOf<ProjectUid>(project), UidOf<BlindName>(collection), UidOf<BlindName>(document)};
}

// What can be parsed as an envelope; nothing here opens it.
crypto::SealedDocument Envelope(char fill) {
  std::string bytes("CK\x01\x02\0\0\0\0", 8);
  bytes.resize(crypto::SealedDocument::kOverheadBytes + 8, fill);
  return *crypto::SealedDocument::Parse(bytes);
}

class TablesTest : public ::testing::Test {
 protected:
  absl::Status Apply(WriteSet writes) {
    return ApplyAndWait(engine_, hub_, std::move(writes)).status();
  }
  std::string OnlyKeyOf(const WriteSet& writes) {
    return absl::BytesToHexString(writes.writes().at(0).key);
  }

  MemoryEngine engine_{1, CommitLimits()};
  const Partition hub_ = HubPartition(0, UidOf<HubUid>('h'));
};

// The grammar of keys is on disk: it may grow, never change.
TEST_F(TablesTest, KeysAreWhatTheyWereInEveryRelease) {
  WriteSet project, dek, secrets, response, operation, pending, hub, facts, document;
  ProjectsTable::Put(project, "vision", storage::v1::ProjectRecord());
  EXPECT_EQ(OnlyKeyOf(project), "11766973696f6e00");
  DeksTable::Put(dek, 258, storage::v1::DekRecord());
  EXPECT_EQ(OnlyKeyOf(dek), "1200000102");
  HubSecretsTable::Put(secrets, Envelope('x'));
  EXPECT_EQ(OnlyKeyOf(secrets), "13");
  ResponsesTable::Put(response, UidOf<BlindName>('\x05'), Envelope('x'));
  EXPECT_EQ(OnlyKeyOf(response), "1405050505050505050505050505050505");
  OperationsTable::Put(operation, "op", storage::v1::OperationRecord());
  EXPECT_EQ(OnlyKeyOf(operation), "156f7000");
  PendingOperationsTable::Put(pending, UidOf<HubUid>('\x07'), "op",
                              storage::v1::PendingOperation());
  EXPECT_EQ(OnlyKeyOf(pending), "42070707070707070707070707070707076f7000");
  HubsTable::Put(hub, "t", "h", storage::v1::HubRecord());
  EXPECT_EQ(OnlyKeyOf(hub), "4074006800");
  StoreTable::Put(facts, storage::v1::StoreRecord());
  EXPECT_EQ(OnlyKeyOf(facts), "41");
  DocumentsTable::Put(document, KeyAt('\x01', '\x02', '\x03'), Envelope('x'));
  EXPECT_EQ(OnlyKeyOf(document),
            "10010101010101010101010101010101010202020202020202020202020202020203030303030303030303"
            "030303030303");
}

TEST_F(TablesTest, ListsInOrderAndGoesOnAfterARow) {
  const ProjectsTable projects(engine_);
  for (const char* id : {"b", "a", "ab", "c"}) {
    WriteSet writes;
    storage::v1::ProjectRecord record;
    record.set_project(id);
    ProjectsTable::Put(writes, id, record);
    ASSERT_THAT(Apply(std::move(writes)), IsOk());
  }
  const auto names = [](const auto& records) {
    std::vector<std::string> ids;
    for (const auto& record : *records) ids.push_back(record.project());
    return ids;
  };
  EXPECT_THAT(names(projects.List(hub_, 10)), ElementsAre("a", "ab", "b", "c"));
  EXPECT_THAT(names(projects.List(hub_, 2)), ElementsAre("a", "ab"));
  EXPECT_THAT(names(projects.ListAfter(hub_, "a", 2)), ElementsAre("ab", "b"));
  EXPECT_THAT(names(projects.ListAfter(hub_, "c", 2)), ElementsAre());
}

TEST_F(TablesTest, AHubIsListedUnderItsTenantAlone) {
  for (const auto& [tenant, hub] : std::vector<std::pair<std::string, std::string>>{
           {"t", "one"}, {"t", "two"}, {"t2", "one"}, {"s", "zzz"}}) {
    WriteSet writes;
    storage::v1::HubRecord record;
    record.set_hub(tenant + "/" + hub);
    HubsTable::Put(writes, tenant, hub, record);
    ASSERT_THAT(ApplyAndWait(engine_, CatalogPartition(), std::move(writes)), IsOk());
  }
  const auto all = HubsTable(engine_).ListOfTenant("t", "", 10);
  ASSERT_EQ(all->size(), 2u);
  EXPECT_EQ((*all)[0].hub(), "t/one");
  const auto rest = HubsTable(engine_).ListOfTenant("t", "one", 10);
  ASSERT_EQ(rest->size(), 1u);
  EXPECT_EQ((*rest)[0].hub(), "t/two");
}

TEST_F(TablesTest, AChangeIsRefusedWhenTheRowIsNotWhatWasRead) {
  storage::v1::ProjectRecord first;
  first.set_project("vision");
  storage::v1::ProjectRecord second = first;
  second.set_revision(2);  // begins with the bytes of the first
  WriteSet put, change, stale;
  ProjectsTable::Put(put, "vision", second);
  ASSERT_THAT(Apply(std::move(put)), IsOk());
  ProjectsTable::RequireUnchanged(stale, "vision", first, EtagMismatch());
  ProjectsTable::Delete(stale, "vision");
  EXPECT_THAT(Apply(std::move(stale)), FailsWith("ETAG_MISMATCH", ""));
  ProjectsTable::RequireUnchanged(change, "vision", second, EtagMismatch());
  ProjectsTable::Delete(change, "vision");
  EXPECT_THAT(Apply(std::move(change)), IsOk());
  EXPECT_EQ(*ProjectsTable(engine_).Get(hub_, "vision"), std::nullopt);
}

TEST_F(TablesTest, AnEnvelopeIsToldFromAnotherByItsIdentity) {
  const DocumentKey key = KeyAt('p', 'c', 'd');
  WriteSet put, stale, change;
  DocumentsTable::Put(put, key, Envelope('a'));
  ASSERT_THAT(Apply(std::move(put)), IsOk());
  DocumentsTable::RequireUnchanged(stale, key, Envelope('b'), EtagMismatch());
  EXPECT_THAT(Apply(std::move(stale)), FailsWith("ETAG_MISMATCH", ""));
  DocumentsTable::RequireUnchanged(change, key, Envelope('a'), EtagMismatch());
  EXPECT_THAT(Apply(std::move(change)), IsOk());
}

TEST_F(TablesTest, WalksAllDocumentsAProjectOrACollection) {
  const std::vector<DocumentKey> keys = {KeyAt('p', 'c', 'd'), KeyAt('p', 'c', 'e'),
                                         KeyAt('p', 'x', 'd'), KeyAt('\xff', '\xff', '\xff')};
  for (const DocumentKey& key : keys) {
    WriteSet writes;
    DocumentsTable::Put(writes, key, Envelope('a'));
    ASSERT_THAT(Apply(std::move(writes)), IsOk());
  }
  const DocumentsTable documents(engine_);
  const ProjectUid p = UidOf<ProjectUid>('p');
  EXPECT_EQ(*documents.WalkKeys(hub_, {}, "", 10), keys);
  EXPECT_THAT(*documents.WalkKeys(hub_, {p, {}}, "", 10), ElementsAre(keys[0], keys[1], keys[2]));
  EXPECT_THAT(*documents.WalkKeys(hub_, {p, UidOf<BlindName>('c')}, "", 10),
              ElementsAre(keys[0], keys[1]));
  EXPECT_THAT(*documents.WalkKeys(hub_, {}, DocumentsTable::CursorAt(keys[1]), 1),
              ElementsAre(keys[2]));
  const auto rows = documents.Walk(hub_, {p, {}}, DocumentsTable::CursorAt(keys[0]), 10);
  ASSERT_EQ(rows->size(), 2u);
  EXPECT_EQ((*rows)[1].key, keys[2]);
  EXPECT_THAT(
      documents.Walk(hub_, {UidOf<ProjectUid>('q'), {}}, DocumentsTable::CursorAt(keys[0]), 10)
          .status(),
      FailsWith("INVARIANT", "outside"));
  const auto found = documents.MultiGet(hub_, {keys[3], KeyAt('n', 'o', 'n'), keys[0]}, SIZE_MAX);
  EXPECT_TRUE((*found)[0]->has_value() && !(*found)[1]->has_value() && (*found)[2]->has_value());
}

TEST_F(TablesTest, AWalkEndsWithTheDocumentByWhichItsBytesAreEnough) {
  for (char d = 0; d < 7; ++d) {
    WriteSet writes;
    DocumentsTable::Put(writes, KeyAt('p', 'c', d), Envelope('a'));
    ASSERT_THAT(Apply(std::move(writes)), IsOk());
  }
  const DocumentsTable documents(engine_);
  EXPECT_EQ(documents.Walk(hub_, {}, "", 100)->size(), 7u);
  EXPECT_EQ(documents.Walk(hub_, {}, "", 5)->size(), 5u);
  const size_t bytes = Envelope('a').bytes().size();
  const auto rows = documents.Walk(hub_, {}, "", {100, 2 * bytes + 1});
  EXPECT_EQ(rows->size(), 3u);
  EXPECT_EQ(rows->back().key, KeyAt('p', 'c', 2));
}

TEST_F(TablesTest, WhatDoesNotParseIsAnErrorNotAbsent) {
  WriteSet broken;
  broken.PutRecord(MakeKey(Table::kProjects, absl::string_view("p")), "\xff");
  broken.PutRecord(MakeKey(Table::kDocuments, KeyAt('p', 'c', 'd')), "no envelope");
  broken.SetFeedRecord("\xff");
  ASSERT_THAT(Apply(std::move(broken)), IsOk());
  EXPECT_THAT(ProjectsTable(engine_).Get(hub_, "p"), FailsWith("STORE_CORRUPT", ""));
  WriteSet sound;
  DocumentsTable::Put(sound, KeyAt('p', 'c', 'e'), Envelope('a'));
  ASSERT_THAT(Apply(std::move(sound)), IsOk());
  const auto rows = DocumentsTable(engine_).Walk(hub_, {}, "", 10);
  ASSERT_EQ(rows->size(), 2u);
  EXPECT_THAT((*rows)[0].sealed, FailsWith("DOCUMENT_CORRUPT", ""));
  EXPECT_THAT((*rows)[1].sealed, IsOk()) << "one that is damaged hides no other";
  const auto found = DocumentsTable(engine_).MultiGet(
      hub_, {KeyAt('p', 'c', 'd'), KeyAt('p', 'c', 'e')}, SIZE_MAX);
  EXPECT_THAT((*found)[0], FailsWith("DOCUMENT_CORRUPT", ""));
  EXPECT_TRUE((*found)[1].ok() && (*found)[1]->has_value());
  EXPECT_EQ(DocumentsTable(engine_).WalkKeys(hub_, {}, "", 10)->size(), 2u);
  EXPECT_THAT(ChangeFeed(engine_).ReadAfter(hub_, 0, 10), FailsWith("STORE_CORRUPT", ""));
}

TEST_F(TablesTest, TheFeedIsReadFromBehindASequence) {
  for (int i = 1; i <= 3; ++i) {
    storage::v1::FeedRecord record;
    record.set_commit_time_micros(i);
    WriteSet writes;
    DocumentsTable::Put(writes, KeyAt('p', 'c', 'd'), Envelope('a'));
    if (i != 2) ChangeFeed::Append(writes, record);
    ASSERT_THAT(Apply(std::move(writes)), IsOk());
  }
  const auto entries = ChangeFeed(engine_).ReadAfter(hub_, 0, 10);
  ASSERT_EQ(entries->size(), 2u);
  EXPECT_EQ((*entries)[1].sequence, 3u);
  EXPECT_EQ((*entries)[1].record.commit_time_micros(), 3);
  EXPECT_EQ(ChangeFeed(engine_).ReadAfter(hub_, 1, 10)->size(), 1u);
  EXPECT_EQ(ChangeFeed(engine_).ReadAfter(hub_, 3, 10)->size(), 0u);
}

}  // namespace
}  // namespace cmkstore::store
