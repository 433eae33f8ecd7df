#include "service/key_check_rows.h"

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/errors.h"
#include "vault/vault_errors.h"
#include "vault/vault_uri.h"

namespace cmkstore::service {
namespace {

constexpr int kMinRecoverableDays = 7;
constexpr absl::Duration kExpiresSoon = absl::Hours(30 * 24);

const std::map<absl::string_view, absl::string_view> kNeeded = {
    {"address", "https://NAME under a vault domain that this server allows, and a key's name"},
    {"directory", "a vault of the tenant's own Entra directory, or of one shared with it"},
    {"reachable", "the vault's host resolves and takes connections from this server"},
    {"tls", "TLS 1.2 or later with a certificate of the vault's name"},
    {"token", "the vault takes this server's token"},
    {"get", "permission keys/get on an existing key"},
    {"key_type", "RSA or RSA-HSM of 2048, 3072 or 4096 bits, or oct-HSM"},
    {"key_ops", "wrapKey and unwrapKey"},
    {"enabled", "enabled"},
    {"validity", "within its nbf and exp dates: outside of them nothing new can be wrapped"},
    {"soft_delete", "a recovery level that begins with Recoverable or CustomizedRecoverable"},
    {"purge_protection", "a recovery level without Purgeable"},
    {"recoverable_days", "7 days or more"},
    {"wrap", "permission keys/wrapKey"},
    {"unwrap", "permission keys/unwrapKey, and the same key back"},
    {"stored_keys", "each version of the key that wraps a DEK of the hub unwraps it"},
    {"platform_key", "this server's own key wraps a key, and gives the same key back"},
};

constexpr absl::string_view kNoTurn = "this server's own turn at the vault did not come in time";
constexpr absl::string_view kAnAnswer = "an answer of the vault, within the time that it has";

bool Allows(const vault::KeyDescription& key, const char* operation) {
  return std::find(key.operations.begin(), key.operations.end(), operation) != key.operations.end();
}

bool IsUsableType(const vault::KeyDescription& key) {
  if (absl::StartsWith(key.type, "oct")) return true;
  return absl::StartsWith(key.type, "RSA") &&
         (key.size_bits == 2048 || key.size_bits == 3072 || key.size_bits == 4096);
}

std::string Day(absl::Time time) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", time, absl::UTCTimeZone());
}

}  // namespace

v1::KeyCheck& KeyCheckRows::Add(absl::string_view check, v1::KeyCheck::Result result,
                                std::string found) {
  v1::KeyCheck& row = *response_.add_checks();
  row.set_check(std::string(check));
  row.set_result(result);
  row.set_found(std::move(found));
  row.set_needed(std::string(kNeeded.at(check)));
  return row;
}

void KeyCheckRows::Pass(absl::string_view check, std::string found) {
  Add(check, v1::KeyCheck::PASSED, std::move(found));
}
void KeyCheckRows::Warn(absl::string_view check, std::string found) {
  Add(check, v1::KeyCheck::WARNING, std::move(found)).set_remedy(remedies_.Of(check));
}
void KeyCheckRows::Fail(absl::string_view check, std::string found, absl::string_view cause) {
  Add(check, v1::KeyCheck::FAILED, std::move(found)).set_remedy(remedies_.Of(check, cause));
}
void KeyCheckRows::Fail(absl::string_view check, const absl::Status& refusal) {
  Fail(check, std::string(refusal.message()), CauseOf(refusal));
  const vault::VaultOutcome outcome = vault::OutcomeOf(refusal);
  if (outcome == vault::VaultOutcome::kUnreachable || outcome == vault::VaultOutcome::kThrottled) {
    response_.mutable_checks()->rbegin()->set_needed(std::string(kAnAnswer));
  }
}
void KeyCheckRows::Skip(absl::string_view check, absl::string_view why) {
  Add(check, v1::KeyCheck::SKIPPED, absl::StrCat("could not be tried: ", why));
}

void KeyCheckRows::AddLoginFailure(const absl::Status& answer) {
  Pass("reachable", "answers");  // or it would not have said whose it is
  Pass("tls", "verified");
  Fail("token", std::string(answer.message()), CauseOf(answer));
  Skip("get");
}

// The vault did not come to speak of the key: how far did the call get?
void KeyCheckRows::AddNoWord(const absl::Status& answer, bool said_whose_it_is) {
  const std::string cause = CauseOf(answer);
  if (cause == "dns" || cause == "connect") {
    Fail("reachable", std::string(answer.message()), cause);
    for (const char* check : {"tls", "token", "get"}) Skip(check);
    return;
  }
  if (cause.empty() && vault::OutcomeOf(answer) == vault::VaultOutcome::kThrottled) {
    for (const char* check : {"reachable", "tls"}) {
      said_whose_it_is ? Pass(check, "answers") : Skip(check, kNoTurn);
    }
    Skip("token", kNoTurn);
    return Fail("get", std::string(answer.message()), "throttled");
  }
  Pass("reachable", "takes connections");
  if (cause == "tls") {
    Fail("tls", std::string(answer.message()));
    for (const char* check : {"token", "get"}) Skip(check);
    return;
  }
  Pass("tls", "verified");
  Skip("token", "this answer does not tell");
  Fail("get", answer);
}

void KeyCheckRows::AddNoDirectory(const absl::Status& answer) {
  if (!HasReason(answer, "FIELD_INVALID")) {
    Skip("directory", "the vault does not say whose it is");
    return AddNoWord(answer, /*said_whose_it_is=*/false);
  }
  Fail("directory", std::string(answer.message()));
  for (const char* check : {"reachable", "tls", "token", "get"}) Skip(check);
}

bool KeyCheckRows::AddFirstCall(const absl::Status& answer, const std::string& version_id) {
  switch (vault::OutcomeOf(answer)) {
    case vault::VaultOutcome::kLoginFailed: AddLoginFailure(answer); return false;
    case vault::VaultOutcome::kUnreachable:
    case vault::VaultOutcome::kThrottled:
      AddNoWord(answer, /*said_whose_it_is=*/true);
      return false;
    default: break;
  }
  Pass("reachable", "answers");
  Pass("tls", "verified");
  Pass("token", "accepted");
  if (answer.ok()) {
    Pass("get", version_id);
  } else {
    Fail("get", answer);
  }
  return answer.ok();
}

void KeyCheckRows::AddDescription(const vault::KeyDescription& key, absl::Time now) {
  const auto judge = [this](bool passed, absl::string_view check, std::string found) {
    passed ? Pass(check, std::move(found)) : Fail(check, std::move(found));
  };
  judge(IsUsableType(key), "key_type", absl::StrCat(key.type, " ", key.size_bits));
  judge(Allows(key, "wrapkey") && Allows(key, "unwrapkey"), "key_ops",
        key.operations.empty() ? "none" : absl::StrJoin(key.operations, " "));
  judge(key.enabled, "enabled", key.enabled ? "enabled" : "disabled");
  if (now < key.not_before) {
    Fail("validity", absl::StrCat("valid from ", Day(key.not_before)));
  } else if (now >= key.expires) {
    Fail("validity", absl::StrCat("expired at ", Day(key.expires)));
  } else if (now + kExpiresSoon >= key.expires) {
    Warn("validity", absl::StrCat("expires at ", Day(key.expires)));
  } else {
    Pass("validity", key.expires == absl::InfiniteFuture()
                         ? "does not expire"
                         : absl::StrCat("expires at ", Day(key.expires)));
  }
  const std::string level = key.recovery_level.empty() ? "not said" : key.recovery_level;
  judge(key.soft_delete, "soft_delete", level);
  judge(key.purge_protection, "purge_protection", level);
  if (key.recoverable_days == 0) {
    Warn("recoverable_days", "not said");
  } else {
    judge(key.recoverable_days >= kMinRecoverableDays, "recoverable_days",
          absl::StrCat(key.recoverable_days));
  }
}

}  // namespace cmkstore::service
