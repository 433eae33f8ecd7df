#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "crypto/random.h"
#include "tests/testing/matchers.h"
#include "tests/testing/scripted_transport.h"
#include "tests/testing/virtual_clock.h"
#include "vault/azure_key_vault.h"
#include "vault/vault_errors.h"

namespace cmkstore::vault {

using testing::FailsWith;
using testing::IsOk;
using testing::JsonAnswer;

// Numbers its tokens: "token-1", "token-2" …
class NumberedTokens final : public TokenSource {
 public:
  explicit NumberedTokens(Clock& clock) : clock_(clock) {}
  absl::StatusOr<AccessToken> Fetch(const TokenRequest& wanted, absl::Time) override {
    resources.push_back(wanted.resource);
    return AccessToken{absl::StrCat("token-", resources.size()), clock_.WallNow() + absl::Hours(1)};
  }
  std::vector<std::string> resources;

 private:
  Clock& clock_;
};

// The client of a vault whose answers a test writes down.
class AzureFixture : public ::testing::Test {
 protected:
  AzureFixture() {
    auto source = std::make_unique<NumberedTokens>(clock_);
    tokens_ = source.get();
    identities_.Add("", std::move(source));
  }

  absl::StatusOr<KeyDescription> Describe() { return vault_.Describe(key_, Soon()); }
  absl::StatusOr<crypto::SecretBytes> Unwrap() {
    return vault_.Unwrap(key_, {kKid, "RSA-OAEP-256", "ciphertext"}, Soon());
  }
  absl::Time Soon() { return clock_.WallNow() + absl::Seconds(5); }

  static std::string Bundle(const std::string& n = "", const std::string& kid = kKid) {
    return absl::StrCat(R"({"key":{"kid":")", kid, R"(","kty":"RSA","key_ops":["wrapKey"],"n":")",
                        n, R"("},"attributes":{"enabled":true,"recoveryLevel":"Recoverable"}})");
  }
  static std::string Operation(const std::string& value, const std::string& kid = kKid) {
    return absl::StrCat(R"({"kid":")", kid, R"(","value":")", value, R"("})");
  }

  static constexpr char kKid[] = "https://contoso.vault.azure.net/keys/k1/0123abcd";
  KeyRef key_{"https://contoso.vault.azure.net", "k1", "", ""};
  testing::VirtualClock clock_;
  crypto::SystemRandom random_;
  testing::ScriptedTransport transport_;
  IdentitySet identities_{clock_};
  NumberedTokens* tokens_;
  AzureKeyVault vault_{VaultAddressPolicy(), transport_, identities_, clock_, random_};
};

}  // namespace cmkstore::vault
