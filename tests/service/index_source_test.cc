// What the index is given of the store: bounded batches, and the truth about what does not open.

#include "service/index_source.h"

#include <gtest/gtest.h>

#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/errors.h"
#include "base/log.h"
#include "crypto/envelope.h"
#include "crypto/hub_secrets.h"
#include "keycache/dek_minter.h"
#include "service/apply_blocking.h"
#include "service/document_codec.h"
#include "service/hub_key_source.h"
#include "service/lock_receipts.h"
#include "service/usage_meter.h"
#include "store/change_feed.h"
#include "store/key_layout.h"
#include "store/memory/memory_engine.h"
#include "store/tables.h"
#include "tests/service/no_lock_actions.h"
#include "tests/testing/fake_key_vault.h"
#include "tests/testing/matchers.h"
#include "tests/testing/temp_dir.h"
#include "tests/testing/virtual_clock.h"
#include "vault/call_budget.h"

namespace cmkstore::service {
namespace {

using testing::IsOk;

constexpr size_t kLimit = 256;

// A hub in memory, whose key is in a vault in memory, with one project.
class IndexSourceTest : public ::testing::Test {
 protected:
  void SetUp() override {
    SetLogFile(dir_.path() + "/log.jsonl");
    storage::v1::HubRecord record;
    record.set_uid(std::string(uid_.bytes()));
    record.set_tenant("contoso");
    record.set_hub("h1");
    record.set_state(storage::v1::HUB_STATE_ACTIVE);
    record.set_outage_grace_seconds(3600);
    record.mutable_customer_key()->set_vault_uri("https://contoso.vault.azure.net");
    record.mutable_customer_key()->set_key_name("k1");
    const auto minted = keycache::MintDek(vault_, KeyRefOf(record), record.tenant(), uid_, 1,
                                          random_, clock_, clock_.WallNow() + absl::Seconds(5));
    ASSERT_THAT(minted, IsOk());
    const crypto::SealKey seal = *minted->dek.MakeSealKey();
    storage::v1::ProjectRecord project;
    project.set_uid(std::string(project_.bytes()));
    project.set_project("p1");
    store::WriteSet rows, named;
    store::DeksTable::Put(rows, 1, ToRecord(minted->record));
    store::HubSecretsTable::Put(
        rows, *crypto::SealHubSecrets(seal, record.tenant(), uid_, secrets_, random_));
    store::ProjectsTable::Put(rows, "p1", project);
    Apply(std::move(rows));
    store::HubsTable::Put(named, "contoso", "h1", record);
    ASSERT_THAT(ApplyBlocking(engine_, store::CatalogPartition(), std::move(named)), IsOk());
    OpenHubAnew();
  }
  void TearDown() override { SetLogFile("/dev/stderr"); }

  void OpenHubAnew() {
    const auto entry = directory_.Find(*TenantId::Parse("contoso"), *HubId::Parse("h1"));
    ASSERT_THAT(entry, IsOk());
    auto opened = hubs_.OpenEntryBlocking(*entry, clock_.WallNow() + absl::Seconds(5));
    ASSERT_THAT(opened, IsOk());
    hub_ = *std::move(opened);
  }
  void Apply(store::WriteSet writes) {
    ASSERT_THAT(ApplyBlocking(engine_, store::HubPartition(0, uid_), std::move(writes)), IsOk());
  }
  // Documents of one commit, each with so much content.
  void WriteTogether(int documents, size_t bytes) {
    store::WriteSet writes;
    storage::v1::FeedRecord feed;
    for (int i = 0; i < documents; ++i) {
      storage::v1::DocumentBody body;
      body.set_collection("c");
      body.set_document(absl::StrCat("d", i));
      body.set_content(std::string(bytes, 'x'));
      const store::DocumentKey key{project_, hub_.keys->names.Collection(project_, "c"),
                                   hub_.keys->names.Document(project_, "c", body.document())};
      store::DocumentsTable::Put(
          writes, key,
          *crypto::Seal(hub_.keys->seal, BindingOf(*hub_.entry, crypto::RowKind::kDocument, key), 1,
                        SerializeBody(body), random_));
      storage::v1::FeedChange& change = *feed.add_changes();
      change.set_kind(storage::v1::FeedChange::KIND_DOCUMENT_PUT);
      change.set_project_uid(std::string(key.project.bytes()));
      change.set_blind_collection(std::string(key.collection.bytes()));
      change.set_blind_document(std::string(key.document.bytes()));
    }
    store::ChangeFeed::Append(writes, feed);
    Apply(std::move(writes));
  }
  // What is written from now on is under another version of the vault's key.
  void Rotate() {
    vault_.AddVersion("k1");
    const storage::v1::HubRecord& record = hub_.entry->record;
    const auto minted = keycache::MintDek(vault_, KeyRefOf(record), record.tenant(), uid_, 2,
                                          random_, clock_, clock_.WallNow() + absl::Seconds(5));
    ASSERT_THAT(minted, IsOk());
    store::WriteSet rows;
    store::DeksTable::Put(rows, 2, ToRecord(minted->record));
    store::HubSecretsTable::Put(
        rows, *crypto::SealHubSecrets(*minted->dek.MakeSealKey(), record.tenant(), uid_, secrets_,
                                      random_));
    Apply(std::move(rows));
    keys_->Forget(uid_);
    OpenHubAnew();
  }
  // One byte of the stored document number `row` is another.
  void Damage(size_t row, size_t at) {
    auto rows =
        engine_.Scan(store::HubPartition(0, uid_), store::TableRange(store::Table::kDocuments), 10);
    ASSERT_THAT(rows, IsOk());
    store::Row& damaged = rows->at(row);
    damaged.value[at] ^= 3;
    store::WriteSet writes;
    writes.PutRecord(damaged.key, damaged.value);
    Apply(std::move(writes));
  }
  static int Unreadable(const std::vector<search::IndexChange>& changes) {
    int unreadable = 0;
    for (const search::IndexChange& change : changes) {
      EXPECT_NE(change.unreadable, change.document.has_value());
      unreadable += change.unreadable ? 1 : 0;
    }
    return unreadable;
  }

  testing::TempDir dir_;
  testing::VirtualClock clock_;
  crypto::SystemRandom random_;
  const HubUid uid_ = random_.NewUid<HubUid>();
  const ProjectUid project_ = random_.NewUid<ProjectUid>();
  const crypto::HubSecrets secrets_ = crypto::HubSecrets::Generate(random_);
  store::MemoryEngine engine_{1};
  UsageMeter meter_{{}, engine_, clock_, [](HubUid) { return int64_t{0}; }};
  HubDirectory directory_{engine_, meter_};
  LockReceipts receipts_{engine_, clock_, NoLockActions()};
  HubKeySource key_source_{directory_, engine_, receipts_};
  testing::FakeKeyVault vault_;
  vault::CallBudget budget_{clock_};
  std::unique_ptr<keycache::KeyCache> keys_ =
      *keycache::KeyCache::Create({}, key_source_, vault_, budget_, clock_, random_, receipts_);
  HubAccess hubs_{directory_, *keys_};
  OpenHub hub_;
  Counter damaged_;
  UnreadableRows unreadable_{damaged_};
  IndexSource source_{hubs_, engine_, unreadable_, clock_};
};

TEST_F(IndexSourceTest, ACommitWithMuchContentIsGivenInBoundedBatches) {
  constexpr int kDocuments = 40;
  constexpr size_t kBytes = 512 << 10;
  WriteTogether(kDocuments, kBytes);
  search::FeedPlace place;
  int given = 0, batches = 0;
  do {
    const auto batch = source_.Read(uid_, place, kLimit);
    ASSERT_THAT(batch, IsOk());
    EXPECT_LE(batch->changes.size() * kBytes, 9u << 20);
    given += static_cast<int>(batch->changes.size());
    EXPECT_EQ(batch->reached.told, given % kDocuments);
    place = batch->reached;
    ++batches;
  } while (place.told > 0);
  EXPECT_EQ(given, kDocuments);
  EXPECT_GT(batches, 1);
  EXPECT_EQ(place.sequence, *source_.LastSequence(uid_));
  const auto rest = source_.Read(uid_, place, kLimit);
  ASSERT_THAT(rest, IsOk());
  EXPECT_TRUE(rest->changes.empty());
  EXPECT_EQ(rest->reached, place);
}

TEST_F(IndexSourceTest, WhatDoesNotOpenIsGivenAsUnreadable) {
  WriteTogether(4, 10);
  Damage(0, 70);  // of the ciphertext
  Damage(1, 8);   // DEK id
  Damage(2, 2);   // format version
  const auto batch = source_.Read(uid_, {}, kLimit);
  ASSERT_THAT(batch, IsOk());
  EXPECT_EQ(batch->changes.size(), 4u);
  EXPECT_EQ(Unreadable(batch->changes), 3);
  EXPECT_EQ(damaged_.value(), 2u) << "a later format is no damage";
  const auto page = source_.Snapshot(uid_, "", kLimit);
  ASSERT_THAT(page, IsOk());
  EXPECT_EQ(page->documents.size(), 4u);
  EXPECT_EQ(Unreadable(page->documents), 3);
}

TEST_F(IndexSourceTest, AGenerationWhoseVersionOfTheKeyIsRefusedIsLeftOutOnceThatIsCertain) {
  WriteTogether(2, 10);
  Rotate();
  WriteTogether(1, 10);  // writes the first of them anew
  vault_.BreakVersion("https://contoso.vault.azure.net/keys/k1/1", CustomerKeyRevoked("disabled"));
  EXPECT_THAT(source_.Snapshot(uid_, "", kLimit), testing::FailsWith("STORE_BUSY", ""));
  absl::StatusOr<search::SnapshotPage> page;
  const absl::Time give_up = absl::Now() + absl::Seconds(20);
  do {
    clock_.Advance(absl::Milliseconds(100));
    keys_->Tick();
    std::this_thread::yield();
    page = source_.Snapshot(uid_, "", kLimit);
  } while (!page.ok() && absl::Now() < give_up);
  ASSERT_THAT(page, IsOk());
  EXPECT_EQ(page->documents.size(), 2u);
  EXPECT_EQ(Unreadable(page->documents), 1);
  EXPECT_EQ(damaged_.value(), 0u) << "nothing is damaged";
  keys_->Lock(uid_);
  EXPECT_THAT(source_.Snapshot(uid_, "", kLimit), testing::FailsWith("HUB_LOCKED", ""));
}

}  // namespace
}  // namespace cmkstore::service
