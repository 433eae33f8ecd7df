#include "service/key_check_rows.h"

#include <algorithm>
#include <map>

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
    {"address", "https://NAME under a vault domain that this server allows"},
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
    {"platform_key", "this server's own key wraps a key, and gives the same key back"},
};

// Refusals of a call that no role would mend, by their cause: the check whose remedy fits.
const std::map<absl::string_view, absl::string_view> kMendedBy = {
    {"KeyOperationForbidden", "key_ops"},    {"KeyDisabled", "enabled"},
    {"KeyNotYetValidOrExpired", "validity"}, {"BadParameter", "key_type"},
    {"ForbiddenByFirewall", "reachable"},    {"ForbiddenByConnection", "reachable"},
};

constexpr absl::string_view kTls = "tls";

bool IsConnection(const std::string& cause) {
  return cause == "dns" || cause == "connect" || cause == "timeout" || cause == "transport";
}

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

std::string KeyCheckRows::VaultName() const {
  const absl::string_view host = vault::HostOf(key_.vault_uri);
  return std::string(host.substr(0, host.find_first_of(".:")));
}

std::string KeyCheckRows::GrantRole() const {
  if (absl::StrContains(key_.vault_uri, ".managedhsm.")) {
    return absl::StrCat("az keyvault role assignment create --hsm-name ", VaultName(),
                        " --role 'Managed HSM Crypto Service Encryption User' --scope /keys/",
                        key_.key_name, " --assignee CLIENT_ID_OF_THIS_SERVER");
  }
  return absl::StrCat(
      "az role assignment create --role 'Key Vault Crypto Service Encryption User' --scope $(az "
      "keyvault show --name ",
      VaultName(), " --query id -o tsv)/keys/", key_.key_name,
      " --assignee CLIENT_ID_OF_THIS_SERVER");
}

std::string KeyCheckRows::Remedy(absl::string_view check, absl::string_view cause) const {
  const bool hsm = absl::StrContains(key_.vault_uri, ".managedhsm.");
  const std::string vault = absl::StrCat(hsm ? " --hsm-name " : " --vault-name ", VaultName());
  const std::string key = absl::StrCat(vault, " --name ", key_.key_name);
  if (check == "address") return "correct the vault URI of the hub's key";
  if (check == "directory") {
    return "name a key in a vault of your own directory, or have the operator of this server share "
           "the vault's directory with your tenant (vaults.shared_directories)";
  }
  if (check == "reachable") {
    return absl::StrCat("az keyvault network-rule list --name ", VaultName(),
                        "; check the vault's DNS name, private endpoint and firewall");
  }
  if (check == "tls") return "check that nothing between this server and the vault ends TLS";
  if (check == "token" && cause == "identity")
    return "name an identity that this server has, or none for its default one";
  if (check == "token")
    return "the operator of this server must mend its identity (its log says why)";
  if (check == "platform_key")
    return "the operator of this server must look after its platform.key";
  if (check == "get" || check == "wrap" || check == "unwrap") {
    if (const auto mends = kMendedBy.find(cause); mends != kMendedBy.end()) {
      return Remedy(mends->second);
    }
    if (cause != "KeyNotFound") return GrantRole();
    return absl::StrCat("correct the key's name, make the key (az keyvault key create", key,
                        hsm ? " --kty RSA-HSM" : " --kty RSA",
                        " --size 3072), or bring a deleted one back (az keyvault key recover", key,
                        ")");
  }
  if (check == "key_type")
    return absl::StrCat("az keyvault key create", key, " --kty RSA --size 3072");
  if (check == "key_ops") {
    return absl::StrCat("az keyvault key set-attributes", key, " --ops wrapKey unwrapKey");
  }
  if (check == "enabled")
    return absl::StrCat("az keyvault key set-attributes", key, " --enabled true");
  if (check == "validity") {
    return absl::StrCat("az keyvault key set-attributes", key,
                        " --not-before EARLIER --expires LATER, or: az keyvault key rotate", key);
  }
  if (check == "soft_delete" || check == "recoverable_days") {
    return "soft delete and its days are fixed when a vault is made: make the key in a new vault "
           "(az keyvault create --retention-days 90)";
  }
  if (check == "purge_protection") {
    return absl::StrCat("az keyvault update --name ", VaultName(),
                        " --enable-purge-protection true");
  }
  return "";
}

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
  Add(check, v1::KeyCheck::WARNING, std::move(found)).set_remedy(Remedy(check));
}
void KeyCheckRows::Fail(absl::string_view check, std::string found, absl::string_view cause) {
  Add(check, v1::KeyCheck::FAILED, std::move(found)).set_remedy(Remedy(check, cause));
}
void KeyCheckRows::Skip(absl::string_view check) {
  Add(check, v1::KeyCheck::SKIPPED, "could not be tried: a check before it failed");
}

void KeyCheckRows::AddNoDirectory(const absl::Status& answer) {
  const std::string message(answer.message());
  if (HasReason(answer, "FIELD_INVALID")) {
    Fail("directory", message);
    for (const char* check : {"reachable", "tls", "token", "get"}) Skip(check);
    return;
  }
  Skip("directory");
  const std::string cause = CauseOf(answer);
  Fail(cause == kTls ? "tls" : "reachable", message, cause);
  for (const char* check : {"token", "get"}) Skip(check);
}

bool KeyCheckRows::AddFirstCall(const absl::Status& answer, const std::string& version_id) {
  const std::string cause = CauseOf(answer);
  const std::string message(answer.message());
  // Our login comes first: without a token the vault is not called.
  const bool login = vault::OutcomeOf(answer) == vault::VaultOutcome::kLoginFailed;
  if (IsConnection(cause)) {
    Fail("reachable", message);
    for (const char* check : {"tls", "token", "get"}) Skip(check);
    return false;
  }
  if (login) {
    Warn("reachable", "not tried: this server has no token that the vault takes");
    Skip("tls");
    Fail("token", message);
    Skip("get");
    return false;
  }
  Pass("reachable", "answers");
  if (cause == kTls) {
    Fail("tls", message);
    for (const char* check : {"token", "get"}) Skip(check);
    return false;
  }
  Pass("tls", "verified");
  Pass("token", "accepted");
  if (!answer.ok()) {
    Fail("get", message, cause);
    return false;
  }
  Pass("get", version_id);
  return true;
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
