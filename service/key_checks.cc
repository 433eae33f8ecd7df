#include "service/key_checks.h"

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/errors.h"
#include "vault/platform_key_vault.h"
#include "vault/vault_errors.h"

namespace cmkstore::service {
namespace {

constexpr absl::Duration kRetry = absl::Seconds(2);
// Of the caller's time, to answer in.
constexpr absl::Duration kToAnswer = absl::Milliseconds(300);
constexpr char kUnknownIdentity[] = "is not the name of an identity of this server";
// A version that no key has: an unwrap by it shows no more than whether it is permitted.
constexpr char kNoVersion[] = "00000000000000000000000000000000";
constexpr size_t kUsualBytes = 384;
constexpr char kStoredKeys[] = "stored_keys";
// The cause of what no key vault does: no role would mend it.
constexpr absl::string_view kNotAVault = "unknown";

// What may be otherwise in a moment: a refusal that a role which is on its way would explain, and
// an answer that is none.
bool MayPass(const absl::Status& status) {
  if (HasReason(status, "VAULT_UNREACHABLE") || HasReason(status, "VAULT_THROTTLED")) return true;
  const std::string cause = CauseOf(status);
  return cause == "ForbiddenByRbac" || cause == "ForbiddenByPolicy" || cause == "AccessDenied" ||
         cause == "Forbidden";
}

bool IsDenied(const absl::Status& status) {
  return vault::OutcomeOf(status) == vault::VaultOutcome::kDenied;
}

// What failed, with what to run for it: as much as goes into an answer. Message and details travel
// as metadata, of which clients of gRPC take 8 KiB.
std::vector<Violation> FailuresOf(const v1::CheckKeyResponse& response) {
  constexpr size_t kMaxBytes = 2600, kMaxFoundBytes = 160;
  constexpr absl::string_view kElse = "cmkctl key check";
  std::vector<Violation> failed;
  std::vector<absl::string_view> remedies;
  size_t bytes = 0;
  for (const v1::KeyCheck& check : response.checks()) {
    if (check.result() != v1::KeyCheck::FAILED) continue;
    failed.push_back(
        {check.check(), absl::StrCat("found: ", check.found().substr(0, kMaxFoundBytes),
                                     "; needed: ", check.needed(), "; run: ")});
    remedies.push_back(check.remedy());
    bytes += failed.back().description.size() + kElse.size();
  }
  for (size_t i = 0; i < failed.size(); ++i) {
    const size_t more = remedies[i].size() - std::min(remedies[i].size(), kElse.size());
    const bool fits = bytes + more <= kMaxBytes;
    if (fits) bytes += more;
    absl::StrAppend(&failed[i].description, fits ? remedies[i] : kElse);
  }
  return failed;
}

const char* const kDescriptionChecks[] = {"key_type",        "key_ops",     "enabled",
                                          "validity",        "soft_delete", "purge_protection",
                                          "recoverable_days"};

}  // namespace

KeyCheckRows KeyChecks::RowsFor(const vault::KeyRef& key, v1::CheckKeyResponse& response) const {
  const auto found = options_.identities.find(key.identity);
  return {key, found == options_.identities.end() ? "" : found->second, response};
}

// A ciphertext of nothing shows whether unwrap is permitted: where it is, the vault calls the
// ciphertext bad, or does not know the version.
void KeyChecks::TryUnwrapOfNothing(const vault::KeyRef& key, const std::string& version_id,
                                   size_t bytes, absl::Time deadline, Report& report) {
  KeyCheckRows rows = RowsFor(key, report.response);
  const vault::WrappedKey nothing{version_id, "RSA-OAEP-256", std::string(bytes, '\x01')};
  const absl::Status answer = vault_.Unwrap(key, nothing, deadline).status();
  const vault::VaultOutcome outcome = vault::OutcomeOf(answer);
  if (outcome == vault::VaultOutcome::kCorrupt || outcome == vault::VaultOutcome::kUnfit ||
      CauseOf(answer) == "KeyNotFound") {
    return rows.Skip("unwrap", "it is permitted, but there is nothing wrapped to unwrap");
  }
  if (answer.ok()) return rows.Fail("unwrap", "unwraps what nobody has wrapped", kNotAVault);
  report.refusals.push_back(answer);
  rows.Fail("unwrap", answer);
}

void KeyChecks::TryOperations(const vault::KeyRef& key, const vault::KeyDescription& description,
                              absl::Time deadline, Report& report) {
  KeyCheckRows rows = RowsFor(key, report.response);
  const crypto::SecretBytes sample = random_.Secret(32);
  const auto wrapped = vault_.Wrap(key, sample, deadline);
  if (!wrapped.ok()) {
    report.refusals.push_back(wrapped.status());
    rows.Fail("wrap", wrapped.status());
    return TryUnwrapOfNothing(key, description.version_id, description.size_bits / 8, deadline,
                              report);
  }
  rows.Pass("wrap", wrapped->algorithm);
  const auto unwrapped = vault_.Unwrap(key, *wrapped, deadline);
  if (!unwrapped.ok()) {
    report.refusals.push_back(unwrapped.status());
    return rows.Fail("unwrap", unwrapped.status());
  }
  if (unwrapped->EqualsInConstantTime(sample.Reveal())) {
    rows.Pass("unwrap", "gives back what was wrapped");
  } else {
    rows.Fail("unwrap", "gives back another key than was wrapped", kNotAVault);
  }
}

// Of a key that cannot be read.
void KeyChecks::TryWithoutReading(const vault::KeyRef& key, const absl::Status& refusal,
                                  absl::Time deadline, Report& report) {
  KeyCheckRows rows = RowsFor(key, report.response);
  for (const char* check : kDescriptionChecks) rows.Skip(check);
  if (!IsDenied(refusal) || CauseOf(refusal) == "KeyNotFound") {
    for (const char* check : {"wrap", "unwrap"}) rows.Skip(check);
    return;
  }
  rows.Skip("wrap", "a wrap reads the key first, which is refused");
  const std::string version_id =
      absl::StrCat(key.vault_uri, "/keys/", key.key_name, "/",
                   key.version.empty() ? std::string(kNoVersion) : key.version);
  TryUnwrapOfNothing(key, version_id, kUsualBytes, deadline, report);
}

KeyChecks::Report KeyChecks::Try(const std::string& tenant, vault::KeyRef key,
                                 absl::Time deadline) {
  Report report;
  KeyCheckRows rows = RowsFor(key, report.response);
  absl::Status refusal = vault::CheckKeyRef(addresses_, key);
  if (!refusal.ok()) {
    rows.Fail("address", std::string(refusal.message()), ViolationsOf(refusal).front().subject);
    for (const char* check : {"directory", "reachable", "tls", "token", "get"}) rows.Skip(check);
  } else if (!options_.identities.contains(key.identity)) {
    refusal = FieldInvalid("encryption.customer_managed.identity", kUnknownIdentity);
    rows.Pass("address", key.vault_uri);
    for (const char* check : {"directory", "reachable", "tls"}) rows.Skip(check);
    rows.Fail("token", kUnknownIdentity, "identity");
    rows.Skip("get");
  } else if (const auto directory = directory_.CheckMayName(tenant, key, deadline);
             !directory.ok()) {
    refusal = directory.status();
    rows.Pass("address", key.vault_uri);
    rows.AddNoDirectory(refusal);
  } else {
    rows.Pass("address", key.vault_uri);
    report.directory = key.directory = *directory;
    rows.Pass("directory", directory->empty() ? "not said by this local vault" : *directory);
    const auto described = vault_.Describe(key, deadline);
    if (rows.AddFirstCall(described.status(), described.ok() ? described->version_id : "")) {
      report.key_read = true;
      rows.AddDescription(*described, clock_.WallNow());
      TryOperations(key, *described, deadline, report);
      return report;
    }
    refusal = described.status();
  }
  report.refusals.push_back(refusal);
  TryWithoutReading(key, refusal, deadline, report);
  return report;
}

KeyChecks::Report KeyChecks::TryUntilItHolds(const std::string& tenant, const vault::KeyRef& key,
                                             absl::Time deadline) {
  deadline -= kToAnswer;
  const absl::Time give_up = std::min(deadline, clock_.WallNow() + options_.retry_for);
  for (;;) {
    const absl::Time began = clock_.WallNow();
    Report report = Try(tenant, key, deadline);
    absl::Duration wait = kRetry;
    for (const absl::Status& refusal : report.refusals) {
      if (!HasReason(refusal, "VAULT_THROTTLED")) continue;
      wait = std::max(wait, RetryAfterOf(refusal).value_or(wait));
    }
    // The next time may take as long as this one.
    const absl::Time now = clock_.WallNow();
    const bool may_pass = std::any_of(report.refusals.begin(), report.refusals.end(), MayPass);
    if (!may_pass || now + wait + (now - began) > give_up) return report;
    clock_.Sleep(wait);
  }
}

void KeyChecks::TryStored(vault::KeyRef key, const std::vector<vault::WrappedKey>& stored,
                          absl::Time deadline, Report& report) {
  if (stored.empty()) return;
  key.directory = report.directory;
  if (!report.key_read) return RowsFor(key, report.response).Skip(kStoredKeys);
  for (const vault::WrappedKey& one : stored) {
    key.version = one.version_id.substr(one.version_id.rfind('/') + 1);
    const absl::Status answer = vault_.Unwrap(key, one, deadline).status();
    if (answer.ok()) continue;
    // What is to be run names this version, not the one that the hub goes by.
    return RowsFor(key, report.response)
        .Fail(kStoredKeys, absl::StrCat("version ", key.version, ": ", answer.message()),
              CauseOf(answer));
  }
  RowsFor(key, report.response)
      .Pass(kStoredKeys, absl::StrCat("unwrapped by all versions that wrap any: ", stored.size()));
}

v1::CheckKeyResponse KeyChecks::Run(const std::string& tenant, const vault::KeyRef& key,
                                    const std::vector<vault::WrappedKey>& stored,
                                    absl::Time deadline) {
  Report report = TryUntilItHolds(tenant, key, deadline);
  TryStored(key, stored, deadline - kToAnswer, report);
  v1::CheckKeyResponse& response = report.response;
  response.set_passed(std::none_of(
      response.checks().begin(), response.checks().end(), [](const v1::KeyCheck& check) {
        return check.result() == v1::KeyCheck::FAILED || check.result() == v1::KeyCheck::SKIPPED;
      }));
  return response;
}

v1::CheckKeyResponse KeyChecks::RunPlatform(absl::Time deadline) {
  const vault::KeyRef key{vault::kPlatformVaultUri, "", "", ""};
  v1::CheckKeyResponse response;
  KeyCheckRows rows = RowsFor(key, response);
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

absl::StatusOr<std::string> KeyChecks::Require(const std::string& tenant, const vault::KeyRef& key,
                                               absl::Time deadline) {
  const Report report = TryUntilItHolds(tenant, key, deadline);
  std::vector<Violation> failed = FailuresOf(report.response);
  if (failed.empty()) return report.directory;
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
