#include "service/key_expiry_watch.h"

#include <gtest/gtest.h>

#include <map>
#include <thread>
#include <vector>

#include "base/errors.h"
#include "service/apply_blocking.h"
#include "store/memory/memory_engine.h"
#include "store/tables.h"
#include "tests/testing/matchers.h"
#include "tests/testing/virtual_clock.h"

namespace cmkstore::service {
namespace {

using testing::IsOk;

// Keys that expire; a key without an entry makes its vault look dead.
class ExpiringVault final : public vault::KeyVault {
 public:
  explicit ExpiringVault(Clock& clock) : clock_(clock) {}
  absl::StatusOr<vault::KeyDescription> Describe(const vault::KeyRef& key, absl::Time) override {
    asked.push_back(key.key_name);
    if (key.key_name == "withdrawn") return CustomerKeyRevoked("KeyDisabled");
    const auto found = days_left.find(key.key_name);
    if (found == days_left.end()) return VaultUnreachable("no answer", absl::ZeroDuration());
    vault::KeyDescription description;
    if (found->second != kNever) {
      description.expires = clock_.WallNow() + absl::Hours(24) * found->second;
    }
    return description;
  }
  absl::StatusOr<vault::WrappedKey> Wrap(const vault::KeyRef&, const crypto::SecretBytes&,
                                         absl::Time) override {
    return InvariantBroken("wrap");
  }
  absl::StatusOr<crypto::SecretBytes> Unwrap(const vault::KeyRef&, const vault::WrappedKey&,
                                             absl::Time) override {
    return InvariantBroken("unwrap");
  }

  static constexpr int kNever = 1 << 20;
  std::map<std::string, int> days_left;
  std::vector<std::string> asked;

 private:
  Clock& clock_;
};

class KeyExpiryWatchTest : public ::testing::Test {
 protected:
  void AddHub(const std::string& hub, const std::string& vault, const std::string& key,
              storage::v1::HubState state = storage::v1::HUB_STATE_ACTIVE) {
    storage::v1::HubRecord record;
    record.set_uid(std::string(HubUid::kBytes, static_cast<char>(++hubs_)));
    record.set_tenant("11111111-2222-4333-8444-555555555555");
    record.set_hub(hub);
    record.set_state(state);
    record.mutable_customer_key()->set_vault_uri("https://" + vault);
    record.mutable_customer_key()->set_key_name(key);
    Store(record);
  }
  void Store(const storage::v1::HubRecord& record) {
    store::WriteSet writes;
    store::HubsTable::Put(writes, record.tenant(), record.hub(), record);
    ASSERT_THAT(ApplyBlocking(engine_, store::CatalogPartition(), std::move(writes)), IsOk());
  }

  testing::VirtualClock clock_;
  store::MemoryEngine engine_{1};
  ExpiringVault vault_{clock_};
  std::vector<std::string> followed_;
  KeyExpiryWatch watch_{engine_, vault_, clock_, [this](const vault::KeyRef& key, const auto&) {
                          followed_.push_back(key.key_name);
                        }};
  int hubs_ = 0;
};

TEST_F(KeyExpiryWatchTest, KeysAreCountedOnceByTheTimeThatIsLeft) {
  vault_.days_left = {
      {"gone", -1}, {"week", 7}, {"month", 30}, {"later", 31}, {"ever", vault_.kNever}};
  int n = 0;
  for (const char* key : {"gone", "week", "week", "month", "later", "ever"}) {
    AddHub("h" + std::to_string(n++), "a", key);
  }
  AddHub("deleted", "a", "gone2", storage::v1::HUB_STATE_DELETED);
  storage::v1::HubRecord platform;
  platform.set_uid(std::string(HubUid::kBytes, 'p'));
  platform.set_tenant("t");
  platform.set_hub("p");
  platform.set_state(storage::v1::HUB_STATE_ACTIVE);
  platform.set_platform_managed(true);
  Store(platform);
  ASSERT_THAT(watch_.Sweep(), IsOk());
  EXPECT_EQ(watch_.Last().keys, (std::array<size_t, 4>{1, 1, 1, 2}));
  EXPECT_EQ(watch_.Last().unread, 0u);
  EXPECT_EQ(vault_.asked.size(), 5u) << "a key of two hubs is asked about once";
  EXPECT_EQ(followed_, vault_.asked) << "and its latest version told of (KL-14)";
}

TEST_F(KeyExpiryWatchTest, ASilentVaultIsAskedOnceAndAWithdrawnKeySilencesNone) {
  vault_.days_left = {{"week", 7}};
  AddHub("h1", "a", "dead1");
  AddHub("h2", "a", "dead2");
  AddHub("h3", "b", "withdrawn");
  AddHub("h4", "b", "week");
  ASSERT_THAT(watch_.Sweep(), IsOk());
  EXPECT_EQ(vault_.asked, (std::vector<std::string>{"dead1", "withdrawn", "week"}));
  EXPECT_EQ(watch_.Last().unread, 3u);
  EXPECT_EQ(watch_.Last().keys[1], 1u);
}

TEST_F(KeyExpiryWatchTest, StartAsksNobodyAndLaterEachRoundDoes) {
  AddHub("h1", "a", "week");
  vault_.days_left = {{"week", 7}};
  watch_.Tick();
  watch_.Stop();  // joins what would have been begun
  EXPECT_TRUE(vault_.asked.empty());
  KeyExpiryWatch later(engine_, vault_, clock_, [](const auto&, const auto&) {});
  clock_.Advance(absl::Minutes(11));
  later.Tick();
  clock_.Advance(absl::Hours(5));
  later.Tick();
  while (later.Last().keys[1] == 0) std::this_thread::yield();
  later.Stop();
  EXPECT_EQ(vault_.asked.size(), 1u) << "once in six hours";
}

}  // namespace
}  // namespace cmkstore::service
