#include "vault/bounded_key_vault.h"

#include <gtest/gtest.h>

#include <utility>

#include "base/errors.h"
#include "crypto/random.h"
#include "tests/testing/virtual_clock.h"

namespace cmkstore::vault {
namespace {

// Remembers how long each call was given.
class HurriedVault final : public KeyVault {
 public:
  explicit HurriedVault(Clock& clock) : clock_(clock) {}
  absl::StatusOr<KeyDescription> Describe(const KeyRef&, absl::Time deadline) override {
    return Silent(deadline);
  }
  absl::StatusOr<WrappedKey> Wrap(const KeyRef&, const crypto::SecretBytes&,
                                  absl::Time deadline) override {
    return Silent(deadline);
  }
  absl::StatusOr<crypto::SecretBytes> Unwrap(const KeyRef&, const WrappedKey&,
                                             absl::Time deadline) override {
    return Silent(deadline);
  }
  absl::Duration given;

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
  BoundedKeyVault bounded_{{.call_time = absl::Seconds(3)}, vault_, budget_, clock_};
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

TEST_F(BoundedKeyVaultTest, WaitingForItsTurnTakesNothingFromACallsTime) {
  budget_.Throttled(key_.vault_uri, absl::Seconds(10), 0);
  const absl::Time began = clock_.WallNow();
  EXPECT_EQ(GivenToUnwrap(absl::Seconds(30)), absl::Seconds(3));
  EXPECT_GE(clock_.WallNow() - began, absl::Seconds(10));
}

}  // namespace
}  // namespace cmkstore::vault
