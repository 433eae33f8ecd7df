#pragma once

#include <map>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/curl_transport.h"
#include "crypto/random.h"
#include "tests/contract/vault_under_test.h"
#include "vault/azure_key_vault.h"

namespace cmkstore::contract {

// Where a vault is and how to come in.
struct AzureVaultOptions {
  std::string url;         // https://HOST or https://HOST:PORT
  std::string connect_to;  // host:port where that is really found; empty: as the URL says
  std::string ca_file;     // empty: the system's
  absl::Duration settle_time = absl::ZeroDuration();
  absl::Duration call_time = absl::Seconds(20);
  bool managed_hsm = false;  // keys in hardware, AES keys, tokens of another resource
  // Empty: any bearer token will do, for servers that look at none.
  std::unique_ptr<vault::IdentityOptions> identity;
};

// Whether tokens and secrets may be sent where these options say. Errors: FIELD_INVALID.
absl::Status CheckAzureVaultOptions(const AzureVaultOptions& options);
// By its name; a local one may be called anything.
bool LooksLikeManagedHsm(absl::string_view url);

// A vault that speaks Azure Key Vault's REST, be it Azure's own, a local one or an emulator.
class AzureVaultUnderTest final : public VaultUnderTest {
 public:
  explicit AzureVaultUnderTest(AzureVaultOptions options);

  vault::KeyVault& vault() override { return azure_; }
  std::string uri() const override { return options_.url; }
  absl::Duration settle_time() const override { return options_.settle_time; }
  absl::Duration call_time() const override { return options_.call_time; }
  absl::Status MakeKey(const std::string& name, const KeyKind& kind) override;
  absl::Status Change(const std::string& name, const KeyChange& change) override;
  absl::Status Delete(const std::string& name) override;
  absl::Status Recover(const std::string& name) override;
  absl::StatusOr<std::string> AskWithoutToken(const std::string& name) override;
  absl::Status DescribeWithBadToken(const std::string& name) override;

 private:
  absl::StatusOr<HttpResponse> Send(const std::string& method, const std::string& path,
                                    const std::string& body);
  // The same; any answer but `status` is an error that quotes it.
  absl::Status Expect(int status, const std::string& method, const std::string& path,
                      const std::string& body);
  absl::Status Await(int status, const std::string& method, const std::string& path,
                     const std::string& body);

  const AzureVaultOptions options_;
  SystemClock clock_;
  crypto::SystemRandom random_;
  CurlTransport transport_;
  const vault::VaultAddressPolicy addresses_;
  vault::IdentitySet identities_;
  vault::AzureKeyVault azure_;
  std::map<std::string, std::string> versions_;  // the latest, by name
};

}  // namespace cmkstore::contract
