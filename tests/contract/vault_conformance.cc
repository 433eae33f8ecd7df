// vault_conformance: runs the contract of key vaults against a vault named by the environment and
// reports each case. docs/vaults.md shows its use.

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/ids.h"
#include "crypto/random.h"
#include "tests/contract/azure_vault_under_test.h"
#include "tests/contract/contract_report.h"
#include "tests/contract/local_vault.h"
#include "tests/testing/temp_dir.h"
#include "vault/dev_vault/dev_vault.h"

namespace cmkstore::contract {
namespace {

std::string Environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

// The identity that Azure's own variables describe; none without AZURE_CLIENT_ID.
std::unique_ptr<vault::IdentityOptions> IdentityFromEnvironment(const std::string& scratch) {
  using Kind = vault::IdentityOptions::Kind;
  auto identity = std::make_unique<vault::IdentityOptions>();
  identity->client_id = Environment("AZURE_CLIENT_ID");
  if (identity->client_id.empty()) return nullptr;
  identity->tenant_id = Environment("AZURE_TENANT_ID");
  if (const std::string host = Environment("AZURE_AUTHORITY_HOST"); !host.empty()) {
    identity->authority = host;
  }
  identity->certificate_file = Environment("AZURE_CLIENT_CERTIFICATE_PATH");
  identity->token_file = Environment("AZURE_FEDERATED_TOKEN_FILE");
  const std::string secret = Environment("AZURE_CLIENT_SECRET");
  if (!secret.empty()) {
    identity->kind = Kind::kClientSecret;
    identity->secret_file = absl::StrCat(scratch, "/secret");
    WriteFileDurably(identity->secret_file, secret);
  } else if (!identity->certificate_file.empty()) {
    identity->kind = Kind::kClientCertificate;
  } else if (!identity->token_file.empty()) {
    identity->kind = Kind::kWorkloadIdentity;
  } else {
    identity->kind = Kind::kManagedIdentity;
  }
  return identity;
}

// The one of the machine, or the user-assigned one that AZURE_CLIENT_ID names.
std::unique_ptr<vault::IdentityOptions> ManagedIdentityOfTheMachine() {
  auto identity = std::make_unique<vault::IdentityOptions>();
  identity->client_id = Environment("AZURE_CLIENT_ID");
  return identity;
}

struct Flags {
  std::string profile_file, json_file;
  double settle_seconds = 15;
  double call_seconds = 20;
  bool managed_hsm = false;
  bool managed_identity = false;
};

int Fail(const absl::Status& status) {
  std::fprintf(stderr, "vault_conformance: %s\n", std::string(status.message()).c_str());
  return 2;
}

int Run(const Flags& flags) {
  const testing::TempDir scratch;
  SystemClock clock;
  std::unique_ptr<dev_vault::DevVault> local;
  AzureVaultOptions options;
  options.url = std::string(absl::StripSuffix(Environment("CMKSTORE_CONTRACT_VAULT"), "/"));
  if (options.url.empty()) {
    dev_vault::DevVaultOptions dev;
    dev.state_dir = absl::StrCat(scratch.path(), "/vault");
    dev.managed_hsm = flags.managed_hsm;
    auto started = dev_vault::DevVault::Start(dev, clock);
    if (!started.ok()) return Fail(started.status());
    local = *std::move(started);
    options = LocalVaultOptions(local->endpoints());
  } else {
    options.connect_to = Environment("CMKSTORE_CONTRACT_CONNECT_TO");
    options.ca_file = Environment("CMKSTORE_CONTRACT_CA");
    options.identity = flags.managed_identity ? ManagedIdentityOfTheMachine()
                                              : IdentityFromEnvironment(scratch.path());
    options.settle_time = absl::Seconds(flags.settle_seconds);
  }
  options.call_time = absl::Seconds(flags.call_seconds);
  options.managed_hsm = flags.managed_hsm || LooksLikeManagedHsm(options.url);
  if (const absl::Status checked = CheckAzureVaultOptions(options); !checked.ok()) {
    return Fail(checked);
  }
  Profile profile;
  if (!flags.profile_file.empty()) {
    auto read = ReadProfile(flags.profile_file);
    if (!read.ok()) return Fail(read.status());
    profile = *std::move(read);
  }
  const std::string url = options.url;
  std::printf("%s\n", url.c_str());
  AzureVaultUnderTest under_test(std::move(options));
  const std::string prefix =
      absl::StrCat("cmk-", crypto::SystemRandom().NewUid<HubUid>().ToHex().substr(0, 8), "-");
  const Report report = MakeReport(url, profile, RunContract(under_test, prefix));
  std::printf("%s", report.table.c_str());
  if (!flags.json_file.empty() && !WriteFileDurably(flags.json_file, report.json)) {
    return Fail(absl::UnavailableError("the report file cannot be written"));
  }
  return report.failed == 0 ? 0 : 1;
}

}  // namespace
}  // namespace cmkstore::contract

int main(int argc, char** argv) {
  CLI::App app(
      "Runs the contract of key vaults against the vault that CMKSTORE_CONTRACT_VAULT names, or "
      "against the local one.\n\n"
      "CMKSTORE_CONTRACT_VAULT       https://NAME.vault.azure.net\n"
      "CMKSTORE_CONTRACT_CONNECT_TO  HOST:PORT where it is really found\n"
      "CMKSTORE_CONTRACT_CA          PEM file of its CA\n"
      "AZURE_TENANT_ID, AZURE_CLIENT_ID, AZURE_AUTHORITY_HOST, and one of AZURE_CLIENT_SECRET,\n"
      "AZURE_CLIENT_CERTIFICATE_PATH, AZURE_FEDERATED_TOKEN_FILE; none of these: a managed "
      "identity.\n"
      "Without AZURE_CLIENT_ID and --managed-identity a meaningless token is sent, for servers\n"
      "that look at none.\n\n"
      "It makes at most one key for each case, whose names begin with cmk-, and deletes two of "
      "them. Exit code 0: as expected.");
  cmkstore::contract::Flags flags;
  app.add_option("--profile", flags.profile_file,
                 "JSON file of the differences that this vault is known for");
  app.add_option("--json", flags.json_file, "Where to write the report as JSON");
  app.add_option("--settle", flags.settle_seconds,
                 "Seconds for which a change of a key may not be seen yet")
      ->capture_default_str();
  app.add_option("--call-time", flags.call_seconds, "Seconds that one call may take")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_flag("--managed-identity", flags.managed_identity,
               "Log in as the machine's managed identity, whatever the environment has; "
               "system-assigned unless AZURE_CLIENT_ID names another");
  app.add_flag("--managed-hsm", flags.managed_hsm,
               "It is a managed HSM: RSA-HSM and oct-HSM keys; told by *.managedhsm.* otherwise");
  CLI11_PARSE(app, argc, argv);
  return cmkstore::contract::Run(flags);
}
