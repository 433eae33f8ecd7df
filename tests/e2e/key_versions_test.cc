// Hubs whose vault key gets new versions.

#include "absl/strings/match.h"
#include "tests/e2e/served_hub.h"
#include "tests/testing/await_operation.h"

namespace cmkstore {
namespace {

class KeyVersionsTest : public ServedHub {
 protected:
  // Until it has ended: "OK" or the reason of its error.
  std::string RotateDek() {
    v1::RotateDekRequest request;
    request.set_name(kHub);
    google::longrunning::Operation operation;
    EXPECT_EQ(ReasonOf(keys_->RotateDek(As("key_admin").get(), request, &operation)), "OK");
    const grpc::Status waited = testing::AwaitOperation(
        channel_, [this] { return As("reader"); }, operation);
    EXPECT_EQ(ReasonOf(waited), "OK");
    if (operation.has_response()) return "OK";
    return ReasonOf({static_cast<grpc::StatusCode>(operation.error().code()),
                     operation.error().message(), operation.error().SerializeAsString()});
  }
};

TEST_F(KeyVersionsTest, AnOlderKeyVersionThatIsDisabledShowsInChecksAndStatus) {
  SetUpHub();
  ASSERT_EQ(ReasonOf(Put("d1", "{}")), "OK");
  const std::string kek = KeyStatus().generations(0).kek_id();
  const std::string version = kek.substr(kek.rfind('/') + 1);
  owner_->Key("POST", "/keys/k1/rotate", {});
  // But the new DEK's own: the older one stays under the older version.
  owner_->Script({{{"operation", "wrapkey"}, {"skip", 1}, {"status", 403}, {"count", -1}}});
  ASSERT_EQ(RotateDek(), "OK");
  StartServer();
  owner_->Script(nlohmann::json::array());
  v1::CheckKeyRequest request;
  request.set_parent(kHub);
  v1::CheckKeyResponse checks;
  ASSERT_EQ(ReasonOf(keys_->CheckKey(As("key_admin").get(), request, &checks)), "OK");
  EXPECT_TRUE(checks.passed()) << checks.DebugString();
  EXPECT_EQ(KeyStatus().generations(0).availability(), v1::KeyStatus::NOT_YET_USED);

  owner_->Key("PATCH", "/keys/k1/" + version, {{"attributes", {{"enabled", false}}}});
  ASSERT_EQ(ReasonOf(Put("d2", "{}")), "OK");
  AwaitReason("CUSTOMER_KEY_REVOKED");
  const v1::KeyStatus status = KeyStatus();
  EXPECT_EQ(status.availability(), v1::KeyStatus::AVAILABLE);
  EXPECT_EQ(status.generations(0).availability(), v1::KeyStatus::DENIED);
  EXPECT_NE(status.generations(0).cause(), "");
  EXPECT_EQ(status.generations(1).availability(), v1::KeyStatus::AVAILABLE);
  ASSERT_EQ(ReasonOf(keys_->CheckKey(As("key_admin").get(), request, &checks)), "OK");
  EXPECT_FALSE(checks.passed());
  const v1::KeyCheck& last = *checks.checks().rbegin();
  EXPECT_EQ(last.check(), "stored_keys");
  EXPECT_TRUE(absl::StrContains(last.remedy(), "--version " + version + " --enabled true"))
      << last.remedy();
}

TEST_F(KeyVersionsTest, ARefusedWrapIsNoRevocationOfAHubThatIsServed) {
  SetUpHub();
  ASSERT_EQ(ReasonOf(Put("d1", "{}")), "OK");
  owner_->Key("PATCH", "/keys/k1", {{"key_ops", {"unwrapKey"}}});
  EXPECT_EQ(RotateDek(), "CUSTOMER_KEY_UNFIT");
  EXPECT_EQ(ReasonOf(Get("d1")), "OK");
  owner_->Key("PATCH", "/keys/k1", {{"key_ops", {"wrapKey", "unwrapKey"}}});
  // The permission to read a key, which a wrap does first, is another one.
  owner_->Script({{{"operation", "get"}, {"status", 403}, {"count", -1}}});
  EXPECT_EQ(RotateDek(), "CUSTOMER_KEY_UNFIT");
  EXPECT_EQ(ReasonOf(Get("d1")), "OK");
  owner_->Script(nlohmann::json::array());
  EXPECT_EQ(RotateDek(), "OK");
}

TEST_F(KeyVersionsTest, ANewVersionIsFollowedAndDisablingItWithdrawsTheKey) {  // KL-14
  SetUpHub();
  ASSERT_EQ(ReasonOf(Put("d1", "{}")), "OK");
  v1::Document before, after;
  ASSERT_EQ(ReasonOf(Get("d1", &before)), "OK");
  const auto rotated =
      nlohmann::json::parse(owner_->Key("POST", "/keys/k1/rotate", nlohmann::json::object()).body);
  clock_.Advance(absl::Minutes(1));  // to the next look
  const std::string latest = rotated["key"]["kid"];
  const absl::Time give_up = absl::Now() + absl::Seconds(20);
  while (KeyStatus().generations(0).kek_id() != latest && absl::Now() < give_up) {
    absl::SleepFor(absl::Milliseconds(20));
  }
  EXPECT_EQ(KeyStatus().generations(0).kek_id(), latest);
  EXPECT_EQ(ReasonOf(Get("d1")), "OK");
  SetKeyEnabled(false);  // without a version: of the latest
  AwaitReason("CUSTOMER_KEY_REVOKED");
  SetKeyEnabled(true);
  AwaitReason("OK");
  ASSERT_EQ(ReasonOf(Get("d1", &after)), "OK");
  EXPECT_EQ(after.revision(), before.revision());
  EXPECT_EQ(after.etag(), before.etag());
  EXPECT_EQ(after.envelope().dek_id(), before.envelope().dek_id());
}

// What cannot be brought under the new version, here for want of wraps, is withdrawn by it all the
// same.
TEST_F(KeyVersionsTest, DisablingTheLatestVersionWithdrawsWhatAnOlderOneStillWraps) {  // KL-14
  SetUpHub();
  ASSERT_EQ(ReasonOf(Put("d1", "{}")), "OK");
  const std::string wrapped_by = KeyStatus().generations(0).kek_id();
  owner_->Script({{{"operation", "wrapkey"}, {"status", 403}, {"count", -1}}});
  owner_->Key("POST", "/keys/k1/rotate", {});
  SetKeyEnabled(false);
  clock_.Advance(absl::Minutes(1));
  AwaitReason("CUSTOMER_KEY_REVOKED");
  EXPECT_EQ(KeyStatus().availability(), v1::KeyStatus::DENIED);
  StartServer();
  EXPECT_EQ(ReasonOf(Get("d1")), "CUSTOMER_KEY_REVOKED") << "after a restart, too";
  SetKeyEnabled(true);
  AwaitReason("OK");
  EXPECT_EQ(KeyStatus().generations(0).kek_id(), wrapped_by);
}

TEST_F(KeyVersionsTest, AllGenerationsOfAHubComeUnderItsOtherKey) {
  SetUpHub();
  constexpr int kGenerations = 12;  // more than are wrapped at once
  for (int i = 0; i < kGenerations; ++i) {
    ASSERT_EQ(ReasonOf(Put(absl::StrCat("d", i), "{}")), "OK");
    if (i + 1 < kGenerations) {
      ASSERT_EQ(RotateDek(), "OK");
    }
  }
  owner_->Key("POST", "/keys/k2/create", {{"kty", "RSA"}, {"key_size", 2048}});
  v1::UpdateHubRequest request;
  request.mutable_hub()->set_name(kHub);
  request.mutable_hub()->mutable_encryption()->mutable_customer_managed()->set_key_name("k2");
  request.mutable_update_mask()->add_paths("encryption.customer_managed.key_name");
  v1::Hub hub;
  // One that fails in the middle changes none.
  owner_->Script({{{"operation", "unwrapkey"}, {"skip", 15}, {"status", 403}, {"count", -1}}});
  EXPECT_NE(ReasonOf(hubs_->UpdateHub(As("owner").get(), request, &hub)), "OK");
  owner_->Script(nlohmann::json::array());
  const v1::KeyStatus before = KeyStatus();
  for (const v1::DekGeneration& generation : before.generations()) {
    EXPECT_TRUE(absl::StrContains(generation.kek_id(), "/keys/k1/")) << generation.kek_id();
  }
  AwaitReason("OK");
  ASSERT_EQ(ReasonOf(hubs_->UpdateHub(As("owner").get(), request, &hub)), "OK");
  const v1::KeyStatus after = KeyStatus();
  EXPECT_EQ(after.generations_size(), kGenerations);
  for (const v1::DekGeneration& generation : after.generations()) {
    EXPECT_TRUE(absl::StrContains(generation.kek_id(), "/keys/k2/")) << generation.kek_id();
  }
  StartServer();
  for (int i = 0; i < kGenerations; ++i) {
    EXPECT_EQ(ReasonOf(Get(absl::StrCat("d", i))), "OK") << i;
  }
}

}  // namespace
}  // namespace cmkstore
