#include "vault/bounded_key_vault.h"

#include <gtest/gtest.h>

#include <utility>

#include "base/errors.h"
#include "crypto/random.h"
#include "tests/testing/virtual_clock.h"

namespace cmkstore::vault {
namespace {

// Remembers how long each call was given. Does not answer, or as a key of `bits` does.
class HurriedVault final : public KeyVault {
 public:
  explicit HurriedVault(Clock& clock) : clock_(clock) {}
  absl::StatusOr<KeyDescription> Describe(const KeyRef&, absl::Time deadline) override {
    if (bits == 0) return Silent(deadline);
    KeyDescription description;
    description.type = "RSA";
    description.size_bits = static_cast<uint32_t>(bits);
    return description;
  }
  absl::StatusOr<WrappedKey> Wrap(const KeyRef&, const crypto::SecretBytes&,
                                  absl::Time deadline) override {
    if (bits == 0) return Silent(deadline);
    return WrappedKey{"v", "RSA-OAEP-256", std::string(bits / 8, 'w')};
  }
  absl::StatusOr<crypto::SecretBytes> Unwrap(const KeyRef&, const WrappedKey&,
                                             absl::Time deadline) override {
    return Silent(deadline);
  }
  absl::Duration given;
  size_t bits = 0;

 private:
  absl::Status Silent(absl::Time deadline) {
    given = deadline - clock_.WallNow();
    return VaultUnreachable("timeout", absl::Seconds(5));
  }
  Clock& clock_;
};

class BoundedKeyVaultTest : public ::testing::Test {
 protected:
  absl::Duration GivenToUnwrap(absl::Duration patience) {
    (void)bounded_.Unwrap(key_, {"v", "RSA-OAEP-256", "x"}, clock_.WallNow() + patience);
    return vault_.given;
  }
  const KeyRef key_{"https://contoso.vault.azure.net", "k", "", ""};
  testing::VirtualClock clock_;
  CallBudget budget_{clock_};
  HurriedVault vault_{clock_};
  BoundedKeyVault bounded_{
      {.per_vault = 4, .overall = 8, .call_time = absl::Seconds(3)}, vault_, budget_, clock_};
};

TEST_F(BoundedKeyVaultTest, AVaultThatHangsTakesNoMoreThanTheTimeOfOneCall) {
  EXPECT_EQ(GivenToUnwrap(absl::Seconds(30)), absl::Seconds(3));
  EXPECT_EQ(GivenToUnwrap(absl::Seconds(1)), absl::Seconds(1));
  (void)bounded_.Describe(key_, clock_.WallNow() + absl::Seconds(30));
  EXPECT_EQ(vault_.given, absl::Seconds(3));
  crypto::SystemRandom random;
  (void)bounded_.Wrap(key_, random.Secret(32), clock_.WallNow() + absl::Seconds(30));
  EXPECT_EQ(vault_.given, absl::Seconds(6)) << "it reads the key first";
}

// How long `calls` calls take, each beginning as soon as it may.
TEST_F(BoundedKeyVaultTest, EachCallCostsWhatItAsksOfAKeyOfItsSize) {
  crypto::SystemRandom random;
  const auto seconds = [&](size_t bits, int calls, auto call) {
    vault_.bits = bits;
    clock_.Advance(absl::Minutes(1));
    const absl::Time began = clock_.WallNow();
    for (int i = 0; i < calls; ++i) call(clock_.WallNow() + absl::Minutes(1));
    return absl::ToDoubleSeconds(clock_.WallNow() - began);
  };
  const auto describe = [&](absl::Time until) { EXPECT_TRUE(bounded_.Describe(key_, until).ok()); };
  const auto wrap = [&](absl::Time until) {
    EXPECT_TRUE(bounded_.Wrap(key_, random.Secret(32), until).ok());
  };
  // Four fifths of a second's budget come in a second: 80, 20 and 10 calls.
  EXPECT_NEAR(seconds(2048, 800, describe), 10, 0.5);
  EXPECT_NEAR(seconds(3072, 200, describe), 10, 0.5);
  EXPECT_NEAR(seconds(4096, 100, describe), 10, 0.5);
  EXPECT_NEAR(seconds(2048, 400, wrap), 10, 0.5) << "a wrap is two calls";
  EXPECT_NEAR(seconds(3072, 100, wrap), 10, 0.5);
  EXPECT_NEAR(seconds(4096, 50, wrap), 10, 0.5);
}

TEST_F(BoundedKeyVaultTest, WhoWouldWaitInVainForAVaultThatThrottlesIsToldAtOnce) {
  budget_.Throttled(key_.vault_uri, absl::Minutes(2), 0);
  const absl::Time began = clock_.WallNow();
  const absl::Status refused = bounded_.Describe(key_, began + absl::Seconds(30)).status();
  EXPECT_EQ(ReasonOf(refused), "VAULT_THROTTLED");
  EXPECT_EQ(CauseOf(refused), "throttled") << "it is the vault's word, not our turn";
  EXPECT_EQ(RetryAfterOf(refused), absl::Minutes(2));
  EXPECT_EQ(clock_.WallNow(), began);
}

TEST_F(BoundedKeyVaultTest, WaitingForItsTurnTakesNothingFromACallsTime) {
  budget_.Throttled(key_.vault_uri, absl::Seconds(10), 0);
  const absl::Time began = clock_.WallNow();
  EXPECT_EQ(GivenToUnwrap(absl::Seconds(30)), absl::Seconds(3));
  EXPECT_GE(clock_.WallNow() - began, absl::Seconds(10));
}

}  // namespace
}  // namespace cmkstore::vault
