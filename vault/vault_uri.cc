#include "vault/vault_uri.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/errors.h"
#include "base/status_macros.h"
#include "vault/base_url.h"

namespace cmkstore::vault {
namespace {

constexpr absl::string_view kScheme = "https://";
constexpr absl::string_view kField = "encryption.customer_managed.vault_uri";
constexpr size_t kMaxUriBytes = 128;
constexpr char kHsmResource[] = "https://managedhsm.azure.net";

bool IsLabel(absl::string_view label) {
  return !label.empty() && label.size() <= 63 && label.front() != '-' && label.back() != '-' &&
         std::all_of(label.begin(), label.end(), [](char c) {
           return absl::ascii_islower(static_cast<unsigned char>(c)) ||
                  absl::ascii_isdigit(static_cast<unsigned char>(c)) || c == '-';
         });
}

bool IsKeyWord(absl::string_view word) {
  return word.size() <= 127 && std::all_of(word.begin(), word.end(), [](char c) {
           return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '-';
         });
}

// The domain that `host` is one label deep in, or null.
const VaultDomain* DomainOf(const VaultAddressPolicy& policy, absl::string_view host) {
  for (const VaultDomain& domain : policy.domains) {
    if (absl::EndsWith(host, domain.suffix) &&
        IsLabel(host.substr(0, host.size() - domain.suffix.size()))) {
      return &domain;
    }
  }
  return nullptr;
}

// The first character that a key's name may not have, as it can be shown.
std::string BadCharacterOf(absl::string_view word) {
  for (const char c : word) {
    if (IsKeyWord(absl::string_view(&c, 1))) continue;
    return absl::ascii_isprint(static_cast<unsigned char>(c))
               ? absl::StrCat("has a '", std::string(1, c), "'")
               : "has a character that is none of ASCII's letters and digits";
  }
  return "is longer than 127 characters";
}

// What is wrong with an address that is no vault's.
std::string FaultOf(const VaultAddressPolicy& policy, absl::string_view uri) {
  if (uri.empty()) return "is not set";
  if (uri.size() > kMaxUriBytes) return "is longer than 128 bytes";
  if (!absl::StartsWith(uri, kScheme)) return "does not begin with https://";
  const absl::string_view rest = uri.substr(kScheme.size());
  const absl::string_view host = rest.substr(0, rest.find_first_of("/?#\\"));
  if (absl::StrContains(host, '@')) return "has a user";
  if (host.size() != rest.size()) return "has a path, a query or a fragment";
  if (absl::StrContains(host, ':')) return "has a port";
  if (absl::EndsWith(host, ".")) return "ends with a dot";
  if (std::any_of(host.begin(), host.end(),
                  [](char c) { return absl::ascii_isupper(static_cast<unsigned char>(c)); })) {
    return "has upper-case letters";
  }
  for (const VaultDomain& domain : policy.domains) {
    if (!absl::EndsWith(host, domain.suffix)) continue;
    const absl::string_view name = host.substr(0, host.size() - domain.suffix.size());
    if (absl::StrContains(name, '.')) {
      return absl::StrCat("has more than one label before ", domain.suffix);
    }
    return absl::StrCat("has no vault's name before ", domain.suffix,
                        " (letters, digits and dashes)");
  }
  return "is under no domain that this server allows";
}

}  // namespace

bool IsLocal(const VaultAddressPolicy& policy, absl::string_view host) {
  return std::find(policy.allowed_hosts.begin(), policy.allowed_hosts.end(), host) !=
         policy.allowed_hosts.end();
}

VaultDomain VaultDomainFrom(absl::string_view text) {
  const size_t equals = text.find('=');
  const absl::string_view suffix = text.substr(0, equals);
  if (equals != absl::string_view::npos) {
    // A challenge's resource is compared without its slash, too.
    return {std::string(suffix), std::string(absl::StripSuffix(text.substr(equals + 1), "/"))};
  }
  return {std::string(suffix), absl::StrCat(kScheme, absl::StripPrefix(suffix, "."))};
}

absl::Status CheckVaultDomain(const VaultDomain& domain) {
  const std::vector<absl::string_view> labels = absl::StrSplit(domain.suffix, '.');
  if (labels.size() < 3 || !labels[0].empty() ||
      !std::all_of(labels.begin() + 1, labels.end(), IsLabel)) {
    return FieldInvalid(
        "vault_domain",
        "its suffix must be a domain with its leading dot, such as .vault.azure.net");
  }
  if (!IsBaseUrl(domain.resource, kScheme) || absl::EndsWith(domain.resource, "/")) {
    return FieldInvalid("vault_domain",
                        "its resource must be https://HOST, such as https://vault.azure.net");
  }
  return absl::OkStatus();
}

std::string ResourceOf(const VaultAddressPolicy& policy, absl::string_view vault_uri) {
  absl::string_view host = HostOf(vault_uri);
  if (!IsLocal(policy, host)) {
    const VaultDomain* domain = DomainOf(policy, host);
    return domain == nullptr ? policy.development_resource : domain->resource;
  }
  // A local vault may bear a name of the cloud: it is asked as the one of that name would be.
  host = host.substr(0, host.find(':'));
  if (const VaultDomain* domain = DomainOf(policy, host)) return domain->resource;
  return absl::StrContains(host, ".managedhsm.") ? kHsmResource : policy.development_resource;
}

absl::string_view HostOf(absl::string_view vault_uri) { return vault_uri.substr(kScheme.size()); }

absl::Status CheckVaultUri(const VaultAddressPolicy& policy, absl::string_view uri) {
  if (uri.size() <= kMaxUriBytes && absl::StartsWith(uri, kScheme)) {
    const absl::string_view host = HostOf(uri);
    if (IsLocal(policy, host) || DomainOf(policy, host) != nullptr) return absl::OkStatus();
  }
  return FieldInvalid(
      kField,
      absl::StrCat(FaultOf(policy, uri), "; it must be https://NAME with NAME under one of ",
                   absl::StrJoin(policy.domains, ", ",
                                 [](std::string* out, const VaultDomain& domain) {
                                   out->append(domain.suffix);
                                 }),
                   ", without port, path or user"));
}

absl::Status CheckKeyRef(const VaultAddressPolicy& policy, const KeyRef& key) {
  CMK_RETURN_IF_ERROR(CheckVaultUri(policy, key.vault_uri));
  if (key.key_name.empty() || !IsKeyWord(key.key_name)) {
    return FieldInvalid(
        "encryption.customer_managed.key_name",
        absl::StrCat(key.key_name.empty() ? "is not set" : BadCharacterOf(key.key_name),
                     "; it must be 1 to 127 characters of 0-9 A-Z a-z -"));
  }
  if (!IsKeyWord(key.version)) {
    return FieldInvalid("encryption.customer_managed.key_version",
                        absl::StrCat(BadCharacterOf(key.version),
                                     "; it must be at most 127 characters of 0-9 A-Z a-z -"));
  }
  return absl::OkStatus();
}

}  // namespace cmkstore::vault
