#include "service/key_checks.h"

#include <algorithm>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/errors.h"
#include "vault/vault_errors.h"

namespace cmkstore::service {
namespace {

using Result = v1::KeyCheck::Result;

void Add(absl::string_view check, bool passed, std::string found, absl::string_view needed,
         absl::string_view remedy, v1::CheckKeyResponse& response) {
  v1::KeyCheck& added = *response.add_checks();
  added.set_check(std::string(check));
  added.set_result(passed ? v1::KeyCheck::PASSED : v1::KeyCheck::FAILED);
  added.set_found(std::move(found));
  added.set_needed(std::string(needed));
  if (!passed) added.set_remedy(std::string(remedy));
}

void Skip(std::initializer_list<absl::string_view> checks, v1::CheckKeyResponse& response) {
  for (absl::string_view check : checks) {
    v1::KeyCheck& added = *response.add_checks();
    added.set_check(std::string(check));
    added.set_result(v1::KeyCheck::SKIPPED);
    added.set_found("a check before it failed");
  }
}

bool Allows(const vault::KeyDescription& key, const char* operation) {
  return std::find(key.operations.begin(), key.operations.end(), operation) != key.operations.end();
}

}  // namespace

void KeyChecks::CheckDescription(const vault::KeyDescription& key, v1::CheckKeyResponse& response) {
  const bool rsa = absl::StartsWith(key.type, "RSA");
  Add("key_type", (rsa && key.size_bits >= 2048) || absl::StartsWith(key.type, "oct"),
      absl::StrCat(key.type, " ", key.size_bits), "RSA or RSA-HSM of 2048 bits or more, or oct-HSM",
      "az keyvault key create --kty RSA --size 3072", response);
  Add("enabled", key.enabled, key.enabled ? "enabled" : "disabled", "enabled",
      "az keyvault key set-attributes --enabled true", response);
  Add("key_ops", Allows(key, "wrapkey") && Allows(key, "unwrapkey"),
      absl::StrJoin(key.operations, " "), "wrapKey and unwrapKey",
      "az keyvault key set-attributes --ops wrapKey unwrapKey", response);
  const absl::Time now = clock_.WallNow();
  const bool valid = key.not_before <= now && now < key.expires;
  Add("validity", valid, valid ? "valid now" : "outside its nbf/exp dates", "valid now",
      "az keyvault key set-attributes --expires", response);
  const std::string level = key.recovery_level.empty() ? "not said" : key.recovery_level;
  Add("soft_delete", key.soft_delete, level, "a recoverable level",
      "az keyvault update --enable-soft-delete true", response);
  Add("purge_protection", key.purge_protection, level, "a level without Purgeable",
      "az keyvault update --enable-purge-protection true", response);
}

KeyChecks::Report KeyChecks::Try(const vault::KeyRef& key, absl::Time deadline) {
  Report report;
  v1::CheckKeyResponse& response = report.response;
  const absl::Status address = vault::CheckKeyRef(addresses_, key);
  Add("address", address.ok(), address.ok() ? key.vault_uri : std::string(address.message()),
      "an https URI of an allowed vault domain", "correct the vault URI", response);
  const auto fail = [&](absl::string_view check, const absl::Status& status,
                        absl::string_view needed, absl::string_view remedy) {
    if (report.vault_trouble.ok()) report.vault_trouble = status;
    Add(check, false, std::string(status.message()), needed, remedy, response);
  };
  if (!address.ok()) {
    report.vault_trouble = address;
    Skip({"get", "wrap", "unwrap"}, response);
    return report;
  }
  const auto description = vault_.Describe(key, deadline);
  if (!description.ok()) {
    fail("get", description.status(), "permission keys/get on an existing key",
         "az role assignment create --role 'Key Vault Crypto Service Encryption User'");
    Skip({"wrap", "unwrap"}, response);
    return report;
  }
  Add("get", true, description->version_id, "permission keys/get on an existing key", "", response);
  CheckDescription(*description, response);
  const crypto::SecretBytes sample = random_.Secret(32);
  const auto wrapped = vault_.Wrap(key, sample, deadline);
  if (!wrapped.ok()) {
    fail("wrap", wrapped.status(), "permission keys/wrapKey", "grant wrapKey on the key");
    Skip({"unwrap"}, response);
    return report;
  }
  Add("wrap", true, wrapped->algorithm, "permission keys/wrapKey", "", response);
  const auto unwrapped = vault_.Unwrap(key, *wrapped, deadline);
  if (!unwrapped.ok()) {
    fail("unwrap", unwrapped.status(), "permission keys/unwrapKey", "grant unwrapKey on the key");
    return report;
  }
  Add("unwrap", unwrapped->EqualsInConstantTime(sample.Reveal()), "answered",
      "gives back what was wrapped", "report this vault", response);
  return report;
}

v1::CheckKeyResponse KeyChecks::Run(const vault::KeyRef& key, absl::Time deadline) {
  v1::CheckKeyResponse response = Try(key, deadline).response;
  response.set_passed(std::none_of(
      response.checks().begin(), response.checks().end(), [](const v1::KeyCheck& check) {
        return check.result() == v1::KeyCheck::FAILED || check.result() == v1::KeyCheck::SKIPPED;
      }));
  return response;
}

absl::Status KeyChecks::Require(const vault::KeyRef& key, absl::Time deadline) {
  const Report report = Try(key, deadline);
  std::vector<Violation> failed;
  for (const v1::KeyCheck& check : report.response.checks()) {
    if (check.result() != v1::KeyCheck::FAILED) continue;
    failed.push_back({check.check(), absl::StrCat("found ", check.found(), "; needed: ",
                                                  check.needed(), "; ", check.remedy())});
  }
  if (failed.empty()) return absl::OkStatus();
  // An outage or our own login says nothing of the key: keep its reason, so that the caller tries
  // again.
  const vault::VaultOutcome outcome = vault::OutcomeOf(report.vault_trouble);
  const bool about_the_key = report.vault_trouble.ok() || outcome == vault::VaultOutcome::kDenied ||
                             outcome == vault::VaultOutcome::kUnfit;
  return about_the_key ? CustomerKeyUnfit(std::move(failed)) : report.vault_trouble;
}

}  // namespace cmkstore::service
