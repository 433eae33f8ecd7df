#include "service/key_check_remedies.h"

#include <map>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "vault/vault_errors.h"
#include "vault/vault_uri.h"

namespace cmkstore::service {
namespace {

// Refusals of a call that no role would mend, by their cause: the check whose remedy fits.
const std::map<absl::string_view, absl::string_view> kMendedBy = {
    {"KeyOperationForbidden", "key_ops"},    {"KeyDisabled", "enabled"},
    {"KeyNotYetValidOrExpired", "validity"}, {"BadParameter", "key_type"},
    {"ForbiddenByFirewall", "reachable"},    {"ForbiddenByConnection", "reachable"},
};

// What kept a vault that was reached from a word on the key. Nothing to be granted mends that.
const std::map<absl::string_view, absl::string_view> kNoWord = {
    {"timeout",
     "the vault is too slow or does not answer: try again; if it stays so, look at what stands "
     "between this server and the vault, and at Azure's service health"},
    {"http_5xx",
     "the vault has trouble of its own: try again; if it stays so, look at Azure's service health"},
    {"throttled",
     "the vault is asked too often: try again in a while; if it stays so, look at who else calls "
     "it (its metric ServiceApiHit)"},
};
constexpr absl::string_view kNotAVaultsAnswer =
    "what answered is not a key vault, or something between changed its answer: check the vault's "
    "URI, and the proxy, gateway or private endpoint between this server and the vault";

// For the operator to fill in, where the server does not know it.
constexpr absl::string_view kThisServer = "CLIENT_ID_OF_THIS_SERVER";

}  // namespace

KeyCheckRemedies::KeyCheckRemedies(const vault::KeyRef& key, std::string client_id)
    : key_(key), client_id_(client_id.empty() ? std::string(kThisServer) : std::move(client_id)) {}

bool KeyCheckRemedies::IsHsm() const { return absl::StrContains(key_.vault_uri, ".managedhsm."); }

std::string KeyCheckRemedies::VaultName() const {
  const absl::string_view host = vault::HostOf(key_.vault_uri);
  return std::string(host.substr(0, host.find_first_of(".:")));
}

std::string KeyCheckRemedies::Key() const {
  return absl::StrCat(IsHsm() ? " --hsm-name " : " --vault-name ", VaultName(), " --name ",
                      key_.key_name);
}

std::string KeyCheckRemedies::KeyVersion() const {
  return key_.version.empty() ? Key() : absl::StrCat(Key(), " --version ", key_.version);
}

std::string KeyCheckRemedies::OfAddress(absl::string_view field) const {
  if (absl::EndsWith(field, "key_name")) return "correct the name of the hub's key";
  if (absl::EndsWith(field, "key_version")) return "correct the version of the hub's key";
  return "correct the vault URI of the hub's key";
}

std::string KeyCheckRemedies::OfNetwork(absl::string_view cause) const {
  const std::string show = IsHsm()
                               ? absl::StrCat("az keyvault show --hsm-name ", VaultName(),
                                              " --query properties.networkAcls")
                               : absl::StrCat("az keyvault network-rule list --name ", VaultName());
  const std::string open =
      IsHsm() ? absl::StrCat("az keyvault update-hsm --hsm-name ", VaultName(),
                             " --public-network-access Enabled --default-action Allow")
              : absl::StrCat("az keyvault update --name ", VaultName(),
                             " --public-network-access Enabled");
  if (cause == "ForbiddenByConnection") {
    return absl::StrCat(show, "; give this server a private endpoint, or: ", open);
  }
  if (cause == "ForbiddenByFirewall") {
    return absl::StrCat(show, "; let this server in: ",
                        IsHsm() ? open
                                : absl::StrCat("az keyvault network-rule add --name ", VaultName(),
                                               " --ip-address ADDRESS_OF_THIS_SERVER"),
                        ", or give it a private endpoint");
  }
  return absl::StrCat(show, "; check the vault's DNS name, private endpoint and firewall");
}

std::string KeyCheckRemedies::OfToken(absl::string_view cause) const {
  if (cause == "identity") {
    return "name an identity that this server has, or none for its default one";
  }
  const std::string consent =
      absl::StrCat("az ad sp create --id ", client_id_, ", in the vault's directory");
  if (cause == vault::kNoConsent) {
    return absl::StrCat(consent,
                        "; if that says that there is no such application: the operator of this "
                        "server must log in by an application of several directories (its log says "
                        "why)");
  }
  if (cause != vault::kTokenRefused) {
    return "the operator of this server must mend its identity (its log says why)";
  }
  return absl::StrCat("if the vault is of another directory than this server's identity: ", consent,
                      " (a managed identity has tokens of its own directory only, so the operator "
                      "must log in by an application of several); else the operator of this server "
                      "must mend its identity (its log says why)");
}

std::string KeyCheckRemedies::GrantRole(absl::string_view cause) const {
  if (IsHsm()) {
    return absl::StrCat("az keyvault role assignment create --hsm-name ", VaultName(),
                        " --role 'Managed HSM Crypto Service Encryption User' --scope /keys/",
                        key_.key_name, " --assignee ", client_id_);
  }
  const std::string role = absl::StrCat(
      "az role assignment create --role 'Key Vault Crypto Service Encryption User' --scope $(az "
      "keyvault show --name ",
      VaultName(), " --query id -o tsv)/keys/", key_.key_name, " --assignee ", client_id_);
  if (cause == "ForbiddenByRbac") return role;
  // Any other word is used by vaults of both kinds.
  return absl::StrCat(role, "; or, for a vault of access policies: az keyvault set-policy --name ",
                      VaultName(), " --spn ", client_id_,
                      " --key-permissions get wrapKey unwrapKey");
}

std::string KeyCheckRemedies::MakeKey() const {
  std::string make = absl::StrCat("az keyvault key create", Key());
  absl::StrAppend(&make, IsHsm() ? " --kty RSA-HSM" : " --kty RSA",
                  " --size 3072 --ops wrapKey unwrapKey");
  if (IsHsm()) absl::StrAppend(&make, " (or --kty oct-HSM --size 256)");
  return make;
}

std::string KeyCheckRemedies::FindKey() const {
  const std::string version =
      key_.version.empty()
          ? ""
          : absl::StrCat("correct the key's version (az keyvault key list-versions", Key(), "), ");
  return absl::StrCat(version, "correct the key's name, make the key (", MakeKey(),
                      "), or bring a deleted one back (az keyvault key recover", Key(), ")");
}

std::string KeyCheckRemedies::ExtendValidity() const {
  return absl::StrCat("az keyvault key set-attributes", KeyVersion(),
                      " --not-before EARLIER --expires LATER, or: az keyvault key rotate", Key(),
                      key_.version.empty() ? "" : ", and name its new version");
}

std::string KeyCheckRemedies::ProtectFromPurge() const {
  return absl::StrCat(IsHsm() ? "az keyvault update-hsm --hsm-name " : "az keyvault update --name ",
                      VaultName(), " --enable-purge-protection true");
}

// Of a get, wrap or unwrap.
std::string KeyCheckRemedies::OfCall(absl::string_view cause) const {
  if (const auto mends = kMendedBy.find(cause); mends != kMendedBy.end()) {
    return Of(mends->second, cause);
  }
  if (const auto no_word = kNoWord.find(cause); no_word != kNoWord.end()) {
    return std::string(no_word->second);
  }
  if (cause == "KeyNotFound") return FindKey();
  if (cause == "dns" || cause == "connect") return OfNetwork(cause);
  if (cause == "tls") return Of("tls");
  if (cause == "login" || cause == vault::kNoConsent || cause == vault::kTokenRefused) {
    return OfToken(cause);
  }
  if (cause == "unknown" || cause == "too_large" || cause == "transport") {
    return std::string(kNotAVaultsAnswer);
  }
  if (cause == "KeyVersionNotFound") return "try again: the key was changed meanwhile";
  return GrantRole(cause);
}

std::string KeyCheckRemedies::Of(absl::string_view check, absl::string_view cause) const {
  if (check == "address") return OfAddress(cause);
  if (check == "directory") {
    return "name a key in a vault of your own directory, or have the operator of this server share "
           "the vault's directory with your tenant (vaults.shared_directories)";
  }
  if (check == "reachable") return OfNetwork(cause);
  if (check == "tls") return "check that nothing between this server and the vault ends TLS";
  if (check == "token") return OfToken(cause);
  if (check == "platform_key") {
    return "the operator of this server must look after its platform.key";
  }
  if (check == "stored_keys" && (cause == "KeyNotFound" || cause == "KeyVersionNotFound")) {
    return absl::StrCat("az keyvault key recover", Key(),
                        ", if the key was deleted; what a purged version has wrapped is lost");
  }
  if (check == "get" || check == "wrap" || check == "unwrap" || check == "stored_keys") {
    return OfCall(cause);
  }
  if (check == "key_type") {
    return key_.version.empty() ? MakeKey() : absl::StrCat(MakeKey(), ", and name its version");
  }
  if (check == "key_ops") {
    return absl::StrCat("az keyvault key set-attributes", KeyVersion(), " --ops wrapKey unwrapKey");
  }
  if (check == "enabled") {
    return absl::StrCat("az keyvault key set-attributes", KeyVersion(), " --enabled true");
  }
  if (check == "validity") return ExtendValidity();
  if (check == "soft_delete" || check == "recoverable_days") {
    return absl::StrCat(
        "soft delete and its days are fixed when a vault is made: make the key in "
        "a new one (az keyvault create ",
        IsHsm() ? "--hsm-name NEW --location LOCATION --administrators OBJECT_ID" : "--name NEW",
        " --resource-group GROUP --retention-days 90 --enable-purge-protection true)");
  }
  if (check == "purge_protection") return ProtectFromPurge();
  return "";
}

}  // namespace cmkstore::service
