#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "service/awaiters.h"
#include "service/dev_credentials.h"
#include "service/hub_key_source.h"
#include "service/key_version_follower.h"
#include "service/manage_hubs.h"
#include "service/manage_keys.h"
#include "service/usage_meter.h"
#include "tests/service/key_checks_fixture.h"
#include "tests/service/no_lock_actions.h"
#include "tests/testing/forwarding_engine.h"
#include "tests/testing/kept_keys.h"
#include "tests/testing/temp_dir.h"

namespace cmkstore::service {

// An engine in memory of which a test decides what becomes of each commit.
class DecidedEngine final : public testing::ForwardingEngine {
 public:
  // OK lets the commit pass.
  using Decide = std::function<absl::Status(const store::Partition&)>;

  void Apply(const store::Partition& partition, store::WriteSet writes, Done done) override {
    const absl::Status decided = decide ? decide(partition) : absl::OkStatus();
    if (!decided.ok()) return done(decided);
    ForwardingEngine::Apply(partition, std::move(writes), [this, done](const auto& result) {
      const auto give = [done, result] { done(result); };
      answer ? answer(give) : give();
    });
  }

  absl::StatusOr<std::vector<store::Row>> Scan(const store::Partition& partition,
                                               const store::KeyRange& range,
                                               store::ReadLimit limit) const override {
    CMK_ASSIGN_OR_RETURN(std::vector<store::Row> rows,
                         ForwardingEngine::Scan(partition, range, limit));
    for (const store::Row& row : rows) bytes_scanned += row.value.size();
    return rows;
  }

  Decide decide;  // may block
  mutable std::atomic<size_t> bytes_scanned = 0;
  // Gives the answer to a commit that has been made, now or later; must not block.
  std::function<void(std::function<void()> give)> answer;
};

inline bool IsCatalog(const store::Partition& partition) {
  return partition.prefix == store::CatalogPartition().prefix;
}

// What UpdateHub and LockHub stand on, in memory, with one hub under the key "k1".
class ManagedHubsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    SetLogFile(dir_.path() + "/log.jsonl");
    testing::PlaceServerKeys(dir_.path());
    const auto minted = MintDevCredentials(dir_.path(), kTenant, clock_);
    ASSERT_THAT(minted, IsOk());
    authorization_ = "Bearer " + *ReadFile(minted->directory + "/owner.token");
    authenticator_ = *Authenticator::Create({minted->issuer}, transport_, clock_);
    gate_ =
        std::make_unique<RequestGate>(*authenticator_, request_quota_, network_, clock_, random_);
    ASSERT_THAT(CreateHub("h1"), IsOk());
    uid_ = Find("h1")->uid;
  }
  void TearDown() override { SetLogFile("/dev/stderr"); }

  // Of the tenant's owner, with 30 s of time.
  AdmittedCall Call() {
    const ResourceScope scope{*TenantId::Parse(kTenant), std::nullopt, std::nullopt};
    const CallInfo info{authorization_, "1", "ipv4:127.0.0.1:1", absl::InfiniteFuture()};
    return *gate_->Admit(*gate_->Identify(info), info, Permission::kManageHubs, scope);
  }
  absl::Status CreateHub(const std::string& id) {
    v1::CreateHubRequest request;
    request.set_parent(absl::StrCat("tenants/", kTenant));
    request.set_hub_id(id);
    request.mutable_hub()->set_display_name("one of " + id);
    auto& key = *request.mutable_hub()->mutable_encryption()->mutable_customer_managed();
    key.set_vault_uri(kVault);
    key.set_key_name("k1");
    return manage_hubs_.Create(Call(), request).status();
  }
  // Changes a hub's record behind everybody's back.
  void Edit(const std::string& id, const std::function<void(storage::v1::HubRecord&)>& edit) {
    const HubName name{*TenantId::Parse(kTenant), *HubId::Parse(id)};
    ASSERT_THAT(manage_hubs_.Change(name,
                                    [&](storage::v1::HubRecord& record) {
                                      edit(record);
                                      return absl::OkStatus();
                                    }),
                IsOk());
  }
  HubEntryPtr Find(const std::string& id) {
    return directory_.Find(*TenantId::Parse(kTenant), *HubId::Parse(id)).value_or(nullptr);
  }
  absl::Status ChangeKey(const std::string& key_name, const std::string& identity = "") {
    v1::UpdateHubRequest request;
    request.mutable_hub()->set_name(kName);
    auto& key = *request.mutable_hub()->mutable_encryption()->mutable_customer_managed();
    key.set_key_name(key_name);
    key.set_identity(identity);
    request.mutable_update_mask()->add_paths("encryption.customer_managed.key_name");
    request.mutable_update_mask()->add_paths("encryption.customer_managed.identity");
    return manage_hubs_.Update(Call(), request).status();
  }
  // "NAMED by the record, WRAPS the newest DEK".
  std::string Keys() { return Keys(uid_); }
  std::string Keys(HubUid hub) {
    const auto records = key_source_.Load(hub);
    if (!records.ok()) return std::string(records.status().message());
    const std::string& kek = records->deks.back().facts.kek_id;
    const auto hub_entry = directory_.FindByUid(hub);
    const std::string named =
        hub_entry.ok() ? (*hub_entry)->record.customer_key().key_name() : "no hub";
    return absl::StrCat(named, ", ", kek.substr(kek.find("/keys/") + 6));
  }
  // "" while the hub's keys may be had, else why not.
  std::string Served() {
    return ReasonOf(BlockOnCompletion<keycache::HubKeysPtr>([&](auto done) {
                      keys_->Fetch(uid_, clock_.WallNow() + absl::Seconds(5), std::move(done));
                    }).status());
  }

  static constexpr char kVault[] = "https://contoso.vault.azure.net";
  static constexpr char kName[] = "tenants/11111111-2222-4333-8444-555555555555/hubs/h1";
  testing::TempDir dir_;
  testing::VirtualClock clock_;
  crypto::SystemRandom random_;
  DecidedEngine engine_;
  UsageMeter meter_{{}, engine_, clock_, [](HubUid) { return int64_t{0}; }};
  HubDirectory directory_{engine_, meter_};
  LockReceipts receipts_{engine_, clock_, NoLockActions()};
  HubKeySource key_source_{directory_, engine_, receipts_};
  testing::FakeKeyVault vault_;
  ChallengingTransport transport_;
  vault::CallBudget budget_{clock_};
  vault::VaultMeter vault_meter_{clock_};
  vault::VaultDirectory vault_directory_{{},           {},     transport_, budget_,
                                         vault_meter_, clock_, random_};
  std::unique_ptr<keycache::KeyCache> keys_ =
      *keycache::KeyCache::Create({}, key_source_, vault_, budget_, clock_, random_, receipts_);
  HubAccess hubs_{directory_, *keys_};
  PageTokens tokens_{std::string(32, 't')};
  KeyChecks checks_{{.identities = {{"", ""}, {"other", ""}}},
                    vault_,
                    vault_directory_,
                    vault::VaultAddressPolicy(),
                    random_,
                    clock_};
  HubKeyChanges key_changes_{hubs_, key_source_, engine_, vault_, random_, clock_};
  KeyVersionFollower key_versions_{hubs_, key_changes_, key_source_, engine_, vault_, clock_};
  Operations operations_{hubs_, engine_, random_, clock_, tokens_};
  ManageHubs manage_hubs_{hubs_,     engine_, vault_, checks_, key_changes_,
                          receipts_, random_, clock_, tokens_, {[](HubUid) {}, [](HubUid) {}}};
  ManageKeys manage_keys_{hubs_,       manage_hubs_, checks_,      key_changes_, operations_,
                          key_source_, receipts_,    vault_meter_, clock_};
  RequestQuota request_quota_{clock_};
  NetworkPolicy network_{directory_};
  std::unique_ptr<Authenticator> authenticator_;
  std::unique_ptr<RequestGate> gate_;
  std::string authorization_;
  HubUid uid_;
};

}  // namespace cmkstore::service
