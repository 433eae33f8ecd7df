#include "vault/following_key_vault.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/testing/fake_key_vault.h"
#include "tests/testing/forwarding_key_vault.h"
#include "tests/testing/virtual_clock.h"

namespace cmkstore::vault {
namespace {

// Gets of this vault may fail while all else works.
class Getless final : public testing::ForwardingKeyVault {
 public:
  using ForwardingKeyVault::ForwardingKeyVault;
  absl::StatusOr<KeyDescription> Describe(const KeyRef& key, absl::Time deadline) override {
    const auto described = ForwardingKeyVault::Describe(key, deadline);
    return trouble.ok() ? described : trouble;
  }
  absl::Status trouble;
};

// A DEK is wrapped by the first version of a key that gets a second one.
class FollowingKeyVaultTest : public ::testing::Test {
 protected:
  void SetUp() override {
    wrapped_ = *fake_.Wrap(key_, crypto::SystemRandom().Secret(32), absl::InfiniteFuture());
    fake_.AddVersion("key");
  }
  // "" or the reason and cause of the refusal.
  std::string Unwrap(const KeyRef& key) {
    const absl::Status status = following_.Unwrap(key, wrapped_, absl::InfiniteFuture()).status();
    return status.ok() ? "" : absl::StrCat(ReasonOf(status), " ", CauseOf(status));
  }
  std::string Unwrap() { return Unwrap(key_); }
  void DisableLatest() {
    fake_.BreakVersion(second_,
                       WithCause(CustomerKeyRevoked("the key is disabled"), "KeyDisabled"));
  }

  const KeyRef key_{"https://contoso.vault.azure.net", "key", "", ""};
  const std::string second_ = "https://contoso.vault.azure.net/keys/key/2";
  testing::VirtualClock clock_;
  CallBudget budget_{clock_};
  testing::FakeKeyVault fake_;
  Getless vault_{fake_};
  std::vector<std::string> told_;
  FollowingKeyVault following_{vault_, budget_, clock_, [this](const KeyRef&, const auto& latest) {
                                 told_.push_back(latest);
                               }};
  WrappedKey wrapped_;
};

TEST_F(FollowingKeyVaultTest, ALatestVersionThatIsDisabledIsAWithdrawal) {  // KL-14
  EXPECT_EQ(Unwrap(), "");
  DisableLatest();
  EXPECT_EQ(Unwrap(), "CUSTOMER_KEY_REVOKED KeyDisabled")
      << "what another version unwraps is looked at each time";
  fake_.HealVersion(second_);
  EXPECT_EQ(Unwrap(), "") << "seen at once";
}

TEST_F(FollowingKeyVaultTest, APinnedVersionIsWithdrawnByItselfAlone) {  // KL-14
  DisableLatest();
  EXPECT_EQ(Unwrap({key_.vault_uri, key_.key_name, "1", ""}), "");
  EXPECT_EQ(fake_.describes(), 0);
  EXPECT_TRUE(told_.empty());
}

TEST_F(FollowingKeyVaultTest, TheLatestVersionIsLookedAtOnceAMinuteAndANewOneIsTold) {  // KL-14
  for (int seconds = 0; seconds < 120; seconds += 10) {
    EXPECT_EQ(Unwrap(), "");
    clock_.Advance(absl::Seconds(10));
  }
  EXPECT_EQ(told_, (std::vector<std::string>{second_, second_})) << "again while it is behind";
  wrapped_ = *fake_.Wrap(key_, crypto::SystemRandom().Secret(32), absl::InfiniteFuture());
  clock_.Advance(absl::Minutes(1));
  const int before = fake_.describes();
  for (int seconds = 0; seconds < 120; seconds += 10) {
    EXPECT_EQ(Unwrap(), "");
    clock_.Advance(absl::Seconds(10));
  }
  EXPECT_EQ(fake_.describes() - before, 2);
  EXPECT_EQ(told_.size(), 2u);
}

TEST_F(FollowingKeyVaultTest, WithoutAnyWordOnTheLatestVersionNothingIsUnwrapped) {  // KL-14
  DisableLatest();  // before this server's start
  vault_.trouble = VaultUnreachable("timeout", absl::Seconds(5));
  EXPECT_EQ(Unwrap(), "VAULT_UNREACHABLE ");
  vault_.trouble = VaultThrottled(absl::Seconds(1));
  EXPECT_EQ(Unwrap(), "VAULT_THROTTLED ");
  vault_.trouble = absl::OkStatus();
  EXPECT_EQ(Unwrap(), "CUSTOMER_KEY_REVOKED KeyDisabled") << "looked at again at once";
}

TEST_F(FollowingKeyVaultTest, ALookThatComesToNothingIsMadeAgainByTheNextProbe) {  // KL-14
  wrapped_ = *fake_.Wrap(key_, crypto::SystemRandom().Secret(32), absl::InfiniteFuture());
  EXPECT_EQ(Unwrap(), "");
  clock_.Advance(absl::Minutes(1));
  vault_.trouble = VaultUnreachable("timeout", absl::Seconds(5));
  const int before = fake_.describes();
  EXPECT_EQ(Unwrap(), "");
  EXPECT_EQ(Unwrap(), "");
  EXPECT_EQ(fake_.describes(), before + 1);
  clock_.Advance(absl::Seconds(20));
  EXPECT_EQ(Unwrap(), "");
  EXPECT_EQ(fake_.describes(), before + 2);
}

TEST_F(FollowingKeyVaultTest, ALookThatComesToNothingChangesNothing) {
  EXPECT_EQ(Unwrap(), "");
  const absl::Status troubles[] = {
      VaultUnreachable("http_5xx", absl::Seconds(5)), VaultThrottled(absl::Seconds(1)),
      WithCause(CustomerKeyRevoked("forbidden"), "ForbiddenByRbac"), VaultLoginFailed("no token")};
  for (const absl::Status& trouble : troubles) {
    vault_.trouble = trouble;
    clock_.Advance(absl::Minutes(2));
    EXPECT_EQ(Unwrap(), "") << trouble;
  }
  vault_.trouble = absl::OkStatus();
  DisableLatest();
  clock_.Advance(absl::Minutes(2));
  EXPECT_EQ(Unwrap(), "CUSTOMER_KEY_REVOKED KeyDisabled");
  for (const absl::Status& trouble : troubles) {
    vault_.trouble = trouble;
    EXPECT_EQ(Unwrap(), "CUSTOMER_KEY_REVOKED KeyDisabled") << "nor takes a withdrawal back";
  }
  vault_.trouble = WithCause(CustomerKeyRevoked("it is deleted"), "KeyNotFound");
  EXPECT_EQ(Unwrap(), "CUSTOMER_KEY_REVOKED KeyNotFound");
}

TEST_F(FollowingKeyVaultTest, ALookTakesNoCallThatTheVaultHasNotLeft) {
  while (budget_.TryTake(key_.vault_uri, 100)) {
  }
  EXPECT_EQ(Unwrap(), "");
  EXPECT_EQ(fake_.describes(), 0);
  clock_.Advance(absl::Seconds(30));
  EXPECT_EQ(Unwrap(), "");
  EXPECT_EQ(fake_.describes(), 1) << "with the first probe";
}

}  // namespace
}  // namespace cmkstore::vault
