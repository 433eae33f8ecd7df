// What a lock leaves behind: the same answers before and after a restart, and before and after the
// first probe of the new process (KL-12).

#include <atomic>
#include <thread>
#include <vector>

#include "tests/e2e/served_hub.h"

namespace cmkstore {
namespace {

class LockReceiptTest : public ServedHub {
 protected:
  // As a list shows it, which asks no vault: "ACTIVE", or why it is locked.
  std::string HubState() {
    v1::ListHubsRequest request;
    request.set_parent(absl::StrCat("tenants/", kTenant));
    v1::ListHubsResponse hubs;
    EXPECT_EQ(ReasonOf(hubs_->ListHubs(As("reader").get(), request, &hubs)), "OK");
    if (hubs.hubs_size() != 1) return "no hub";
    const v1::Hub& hub = hubs.hubs(0);
    return hub.state() == v1::Hub::LOCKED ? hub.state_reason() : v1::Hub::State_Name(hub.state());
  }
  // Since when the key is in which state, and what the last lock did.
  static std::string FactsOf(const v1::KeyStatus& status) {
    return absl::StrCat(v1::KeyStatus::Availability_Name(status.availability()), " ",
                        status.state_since_time().ShortDebugString(), " ",
                        status.last_receipt().ShortDebugString());
  }
  // The key is withdrawn, and the lock's receipt is there.
  v1::KeyStatus Revoke() {
    SetKeyEnabled(false);
    AwaitReason("CUSTOMER_KEY_REVOKED");
    const absl::Time give_up = absl::Now() + absl::Seconds(10);
    while (!KeyStatus().has_last_receipt() && absl::Now() < give_up) {
      absl::SleepFor(absl::Milliseconds(10));
    }
    return KeyStatus();
  }
};

TEST_F(LockReceiptTest, ALockWaitsForNoCallThatWaitsForAVault) {
  SetUpHub();
  owner_->Admin("DELETE", "stats");
  owner_->Script({{{"operation", "get"}, {"kind", "hang"}, {"hang_ms", 600'000}, {"count", -1}}});
  std::atomic<int> ended = 0;
  std::vector<std::thread> checking;
  for (int i = 0; i < 12; ++i) {  // more than one tenant has control threads
    checking.emplace_back([&] {
      v1::CheckKeyRequest request;
      request.set_parent(kHub);
      v1::CheckKeyResponse response;
      EXPECT_TRUE(keys_->CheckKey(As("key_admin").get(), request, &response).ok());
      ++ended;
    });
  }
  const absl::Time give_up = absl::Now() + absl::Seconds(10);
  while (owner_->Admin("GET", "stats").value("get", 0) == 0 && absl::Now() < give_up) {
    absl::SleepFor(absl::Milliseconds(5));
  }
  // Nor does a look at what is there.
  v1::GetHubRequest get;
  get.set_name(kHub);
  v1::Hub hub;
  EXPECT_EQ(ReasonOf(hubs_->GetHub(As("key_admin").get(), get, &hub)), "OK");
  EXPECT_EQ(KeyStatus().generations_size(), 1);
  EXPECT_EQ(Lock().availability(), v1::KeyStatus::LOCKED_BY_PUSH);
  EXPECT_EQ(ended, 0);
  owner_->Script(nlohmann::json::array());
  for (std::thread& one : checking) one.join();
}

TEST_F(LockReceiptTest, APushLockIsTheSameAfterARestart) {
  SetUpHub();
  ASSERT_EQ(ReasonOf(Put("d1", "{}")), "OK");
  const v1::KeyStatus locked = Lock();
  EXPECT_TRUE(locked.last_receipt().by_push());
  EXPECT_GE(locked.last_receipt().keys_wiped(), 1u);
  EXPECT_TRUE(locked.last_receipt().has_lock_time());
  EXPECT_TRUE(locked.has_state_since_time());
  StartServer();
  EXPECT_EQ(FactsOf(KeyStatus()), FactsOf(locked));
  EXPECT_EQ(HubState(), "HUB_LOCKED");
  EXPECT_EQ(ReasonOf(Get("d1")), "HUB_LOCKED");
  EXPECT_EQ(FactsOf(KeyStatus()), FactsOf(locked)) << "a refused call changes nothing";
  EXPECT_EQ(FactsOf(Lock()), FactsOf(locked)) << "nor does the same lock again";
  Unlock();
  EXPECT_EQ(ReasonOf(Get("d1")), "OK");
  StartServer();
  const v1::KeyStatus unlocked = KeyStatus();
  EXPECT_EQ(unlocked.availability(), v1::KeyStatus::NOT_YET_USED);
  EXPECT_FALSE(unlocked.has_state_since_time());
  EXPECT_EQ(unlocked.last_receipt().ShortDebugString(), locked.last_receipt().ShortDebugString())
      << "what the last lock did can still be read";
  EXPECT_EQ(HubState(), "ACTIVE");
}

TEST_F(LockReceiptTest, AVaultsRefusalIsTheSameAfterARestartBeforeAndAfterTheFirstProbe) {
  SetUpHub();
  ASSERT_EQ(ReasonOf(Put("d1", "{}")), "OK");
  const v1::KeyStatus denied = Revoke();
  EXPECT_EQ(denied.availability(), v1::KeyStatus::DENIED);
  EXPECT_EQ(denied.state_since_time().ShortDebugString(),
            denied.last_receipt().lock_time().ShortDebugString());
  EXPECT_EQ(HubState(), "CUSTOMER_KEY_REVOKED");
  StartServer();
  const int before = owner_->UnwrapCalls();
  EXPECT_EQ(FactsOf(KeyStatus()), FactsOf(denied));
  EXPECT_EQ(KeyStatus().cause(), denied.last_receipt().cause());
  EXPECT_TRUE(KeyStatus().has_last_success_time());
  EXPECT_EQ(HubState(), "CUSTOMER_KEY_REVOKED");
  EXPECT_EQ(owner_->UnwrapCalls(), before) << "nobody has asked the vault yet";
  EXPECT_EQ(ReasonOf(Get("d1")), "CUSTOMER_KEY_REVOKED");
  // The refused call, the probe that confirms it, and some more.
  const absl::Time give_up = absl::Now() + absl::Seconds(20);
  while (owner_->UnwrapCalls() - before < 4 && absl::Now() < give_up) {
    ASSERT_EQ(FactsOf(KeyStatus()), FactsOf(denied));
    ASSERT_EQ(HubState(), "CUSTOMER_KEY_REVOKED");
  }
  EXPECT_GE(owner_->UnwrapCalls() - before, 4);

  SetKeyEnabled(true);
  AwaitReason("OK");
  const v1::KeyStatus healed = KeyStatus();
  EXPECT_EQ(healed.availability(), v1::KeyStatus::AVAILABLE);
  EXPECT_EQ(healed.last_receipt().ShortDebugString(), denied.last_receipt().ShortDebugString());
  StartServer();
  EXPECT_EQ(KeyStatus().availability(), v1::KeyStatus::NOT_YET_USED);
  EXPECT_EQ(HubState(), "ACTIVE");
}

TEST_F(LockReceiptTest, AnOutageAfterARestartTakesNoRefusalBack) {  // KL-3, KL-12
  SetUpHub();
  ASSERT_EQ(ReasonOf(Put("d1", "{}")), "OK");
  const v1::KeyStatus denied = Revoke();
  owner_->Script({{{"operation", "unwrapkey"}, {"status", 503}, {"count", -1}}});
  StartServer();
  EXPECT_EQ(ReasonOf(Get("d1")), "VAULT_UNREACHABLE");
  EXPECT_EQ(FactsOf(KeyStatus()), FactsOf(denied));
  EXPECT_EQ(KeyStatus().cause(), denied.last_receipt().cause());
  EXPECT_EQ(HubState(), "CUSTOMER_KEY_REVOKED");
  owner_->Script(nlohmann::json::array());
  AwaitReason("CUSTOMER_KEY_REVOKED");
  EXPECT_EQ(FactsOf(KeyStatus()), FactsOf(denied));
}

TEST_F(LockReceiptTest, ALockByPushAndItsEndLeaveTheVaultsRefusalAsItWas) {  // KL-12
  SetUpHub();
  ASSERT_EQ(ReasonOf(Put("d1", "{}")), "OK");
  const v1::KeyStatus denied = Revoke();
  Lock();
  StartServer();
  Lock();
  Unlock();
  EXPECT_EQ(FactsOf(KeyStatus()), FactsOf(denied));
  StartServer();
  EXPECT_EQ(FactsOf(KeyStatus()), FactsOf(denied));
  EXPECT_EQ(HubState(), "CUSTOMER_KEY_REVOKED");
  SetKeyEnabled(true);
  EXPECT_EQ(ReasonOf(Get("d1")), "OK");
  EXPECT_EQ(KeyStatus().availability(), v1::KeyStatus::AVAILABLE);
}

TEST_F(LockReceiptTest, AKeyThatCameBackWhileTheServerWasDownServesTheFirstCall) {
  SetUpHub();
  ASSERT_EQ(ReasonOf(Put("d1", R"({"kept": true})")), "OK");
  const v1::KeyStatus denied = Revoke();
  server_.reset();
  SetKeyEnabled(true);
  StartServer();
  EXPECT_EQ(FactsOf(KeyStatus()), FactsOf(denied)) << "the vault's last word";
  EXPECT_EQ(ReasonOf(Get("d1")), "OK");
  EXPECT_EQ(KeyStatus().availability(), v1::KeyStatus::AVAILABLE);
  EXPECT_EQ(HubState(), "ACTIVE");
  StartServer();
  EXPECT_EQ(KeyStatus().availability(), v1::KeyStatus::NOT_YET_USED) << "the lock is over";
  EXPECT_EQ(HubState(), "ACTIVE");
}

TEST_F(LockReceiptTest, AKeyInPlaceOfTheRefusedOneEndsWhatIsRemembered) {
  SetUpHub();
  ASSERT_EQ(ReasonOf(Put("d1", "{}")), "OK");
  Revoke();
  // The old version must open the DEKs once more to be changed.
  server_.reset();
  SetKeyEnabled(true);
  StartServer();
  owner_->Key("POST", "/keys/k2/create", {{"kty", "RSA"}, {"key_size", 2048}});
  v1::UpdateHubRequest request;
  request.mutable_hub()->set_name(kHub);
  request.mutable_hub()->mutable_encryption()->mutable_customer_managed()->set_key_name("k2");
  request.mutable_update_mask()->add_paths("encryption.customer_managed.key_name");
  v1::Hub updated;
  ASSERT_EQ(ReasonOf(hubs_->UpdateHub(As("owner").get(), request, &updated)), "OK");
  EXPECT_EQ(HubState(), "ACTIVE") << "before anybody has used the new key";
  EXPECT_EQ(KeyStatus().availability(), v1::KeyStatus::AVAILABLE);
  EXPECT_EQ(ReasonOf(Get("d1")), "OK");
}

}  // namespace
}  // namespace cmkstore
