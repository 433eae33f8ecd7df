#include "service/key_checks.h"

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/errors.h"
#include "service/key_check_rows.h"
#include "vault/platform_key_vault.h"
#include "vault/vault_errors.h"

namespace cmkstore::service {
namespace {

constexpr absl::Duration kRoleRetry = absl::Seconds(2);
constexpr char kUnknownIdentity[] = "is not the name of an identity of this server";

// A refusal that a role which is on its way would explain.
bool MayBePropagation(const absl::Status& status) {
  const std::string cause = CauseOf(status);
  return cause == "ForbiddenByRbac" || cause == "ForbiddenByPolicy" || cause == "AccessDenied" ||
         cause == "Forbidden";
}

const char* const kDescriptionChecks[] = {"key_type",        "key_ops",     "enabled",
                                          "validity",        "soft_delete", "purge_protection",
                                          "recoverable_days"};

}  // namespace

// Wrap, then unwrap of what was wrapped. Where wrap fails, a ciphertext of nothing still shows
// whether unwrap is forbidden too: where it is not, the vault calls the ciphertext bad.
void KeyChecks::TryOperations(const vault::KeyRef& key, const vault::KeyDescription& description,
                              absl::Time deadline, Report& report) {
  KeyCheckRows rows(key, report.response);
  const crypto::SecretBytes sample = random_.Secret(32);
  const auto wrapped = vault_.Wrap(key, sample, deadline);
  if (!wrapped.ok()) {
    report.refusals.push_back(wrapped.status());
    rows.Fail("wrap", std::string(wrapped.status().message()), CauseOf(wrapped.status()));
    const vault::WrappedKey nothing{description.version_id, "RSA-OAEP-256",
                                    std::string(description.size_bits / 8, '\x01')};
    const absl::Status refusal = vault_.Unwrap(key, nothing, deadline).status();
    if (vault::OutcomeOf(refusal) == vault::VaultOutcome::kDenied) {
      report.refusals.push_back(refusal);
      return rows.Fail("unwrap", std::string(refusal.message()), CauseOf(refusal));
    }
    return rows.Skip("unwrap");
  }
  rows.Pass("wrap", wrapped->algorithm);
  const auto unwrapped = vault_.Unwrap(key, *wrapped, deadline);
  if (!unwrapped.ok()) {
    report.refusals.push_back(unwrapped.status());
    return rows.Fail("unwrap", std::string(unwrapped.status().message()),
                     CauseOf(unwrapped.status()));
  }
  if (unwrapped->EqualsInConstantTime(sample.Reveal())) {
    rows.Pass("unwrap", "gives back what was wrapped");
  } else {
    rows.Fail("unwrap", "gives back another key than was wrapped");
  }
}

KeyChecks::Report KeyChecks::Try(const std::string& tenant, const vault::KeyRef& key,
                                 absl::Time deadline) {
  Report report;
  KeyCheckRows rows(key, report.response);
  const absl::Status address = vault::CheckKeyRef(addresses_, key);
  if (!address.ok()) {
    report.refusals.push_back(address);
    rows.Fail("address", std::string(address.message()));
    for (const char* check : {"directory", "reachable", "tls", "token", "get"}) rows.Skip(check);
  } else if (!options_.identities.contains(key.identity)) {
    report.refusals.push_back(
        FieldInvalid("encryption.customer_managed.identity", kUnknownIdentity));
    rows.Pass("address", key.vault_uri);
    for (const char* check : {"directory", "reachable", "tls"}) rows.Skip(check);
    rows.Fail("token", kUnknownIdentity, "identity");
    rows.Skip("get");
  } else if (const auto directory = directory_.CheckMayName(tenant, key, deadline);
             !directory.ok()) {
    report.refusals.push_back(directory.status());
    rows.Pass("address", key.vault_uri);
    rows.AddNoDirectory(directory.status());
  } else {
    rows.Pass("address", key.vault_uri);
    rows.Pass("directory", directory->empty() ? "not said by this local vault" : *directory);
    const auto described = vault_.Describe(key, deadline);
    if (rows.AddFirstCall(described.status(), described.ok() ? described->version_id : "")) {
      rows.AddDescription(*described, clock_.WallNow());
      TryOperations(key, *described, deadline, report);
      return report;
    }
    report.refusals.push_back(described.status());
  }
  for (const char* check : kDescriptionChecks) rows.Skip(check);
  for (const char* check : {"wrap", "unwrap"}) rows.Skip(check);
  return report;
}

KeyChecks::Report KeyChecks::TryUntilRolesHold(const std::string& tenant,
                                               const vault::KeyRef& key, absl::Time deadline) {
  const absl::Time give_up =
      std::min(deadline - 2 * kRoleRetry, clock_.WallNow() + options_.role_propagation);
  for (;;) {
    Report report = Try(tenant, key, deadline);
    const bool propagating =
        std::any_of(report.refusals.begin(), report.refusals.end(), MayBePropagation);
    if (!propagating || clock_.WallNow() + kRoleRetry > give_up) return report;
    clock_.Sleep(kRoleRetry);
  }
}

v1::CheckKeyResponse KeyChecks::Run(const std::string& tenant, const vault::KeyRef& key,
                                    absl::Time deadline) {
  v1::CheckKeyResponse response = TryUntilRolesHold(tenant, key, deadline).response;
  response.set_passed(std::none_of(
      response.checks().begin(), response.checks().end(), [](const v1::KeyCheck& check) {
        return check.result() == v1::KeyCheck::FAILED || check.result() == v1::KeyCheck::SKIPPED;
      }));
  return response;
}

v1::CheckKeyResponse KeyChecks::RunPlatform(absl::Time deadline) {
  const vault::KeyRef key{vault::kPlatformVaultUri, "", "", ""};
  v1::CheckKeyResponse response;
  KeyCheckRows rows(key, response);
  const crypto::SecretBytes sample = random_.Secret(32);
  const auto wrapped = vault_.Wrap(key, sample, deadline);
  const auto unwrapped = wrapped.ok() ? vault_.Unwrap(key, *wrapped, deadline)
                                      : absl::StatusOr<crypto::SecretBytes>(wrapped.status());
  response.set_passed(unwrapped.ok() && unwrapped->EqualsInConstantTime(sample.Reveal()));
  if (response.passed()) {
    rows.Pass("platform_key", "gives back what was wrapped");
  } else {
    rows.Fail("platform_key", unwrapped.ok() ? "gives back another key than was wrapped"
                                             : std::string(unwrapped.status().message()));
  }
  return response;
}

absl::Status KeyChecks::Require(const std::string& tenant, const vault::KeyRef& key,
                                absl::Time deadline) {
  const Report report = TryUntilRolesHold(tenant, key, deadline);
  std::vector<Violation> failed;
  for (const v1::KeyCheck& check : report.response.checks()) {
    if (check.result() != v1::KeyCheck::FAILED) continue;
    failed.push_back({check.check(), absl::StrCat("found: ", check.found(), "; needed: ",
                                                  check.needed(), "; run: ", check.remedy())});
  }
  if (failed.empty()) return absl::OkStatus();
  // An address is the request's fault; an outage or our own login says nothing of the key: they
  // keep their reason, so that the caller knows what to do.
  for (const absl::Status& refusal : report.refusals) {
    const vault::VaultOutcome outcome = vault::OutcomeOf(refusal);
    if (outcome != vault::VaultOutcome::kDenied && outcome != vault::VaultOutcome::kUnfit &&
        outcome != vault::VaultOutcome::kCorrupt) {
      return refusal;
    }
  }
  return CustomerKeyUnfit(std::move(failed));
}

}  // namespace cmkstore::service
