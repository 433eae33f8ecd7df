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

namespace cmkstore::vault {
namespace {

constexpr absl::string_view kScheme = "https://";
constexpr absl::string_view kField = "encryption.customer_managed.vault_uri";
constexpr size_t kMaxUriBytes = 128;

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

bool IsLocal(const VaultAddressPolicy& policy, absl::string_view host) {
  return std::find(policy.allowed_hosts.begin(), policy.allowed_hosts.end(), host) !=
         policy.allowed_hosts.end();
}

}  // namespace

VaultDomain VaultDomainFrom(absl::string_view text) {
  const size_t equals = text.find('=');
  const absl::string_view suffix = text.substr(0, equals);
  if (equals != absl::string_view::npos) {
    return {std::string(suffix), std::string(text.substr(equals + 1))};
  }
  return {std::string(suffix), absl::StrCat(kScheme, absl::StripPrefix(suffix, "."))};
}

absl::Status CheckVaultDomain(const VaultDomain& domain) {
  const std::vector<absl::string_view> labels = absl::StrSplit(domain.suffix, '.');
  if (labels.size() < 3 || !labels[0].empty() ||
      !std::all_of(labels.begin() + 1, labels.end(), IsLabel)) {
    return FieldInvalid("vault_domain", "its suffix must be like .vault.example.net");
  }
  if (!absl::StartsWith(domain.resource, kScheme) || domain.resource.size() == kScheme.size()) {
    return FieldInvalid("vault_domain", "its resource must be like https://vault.example.net");
  }
  return absl::OkStatus();
}

std::string ResourceOf(const VaultAddressPolicy& policy, absl::string_view vault_uri) {
  const absl::string_view host = HostOf(vault_uri);
  const VaultDomain* domain = IsLocal(policy, host) ? nullptr : DomainOf(policy, host);
  return domain == nullptr ? policy.development_resource : domain->resource;
}

absl::string_view HostOf(absl::string_view vault_uri) { return vault_uri.substr(kScheme.size()); }

absl::Status CheckVaultUri(const VaultAddressPolicy& policy, absl::string_view uri) {
  if (uri.size() > kMaxUriBytes || !absl::StartsWith(uri, kScheme)) {
    return FieldInvalid(kField, "must be https://HOST of at most 128 bytes, without a path");
  }
  const absl::string_view host = HostOf(uri);
  if (IsLocal(policy, host) || DomainOf(policy, host) != nullptr) return absl::OkStatus();
  return FieldInvalid(
      kField, absl::StrCat("must be https://NAME with NAME under one of ",
                           absl::StrJoin(policy.domains, ", ",
                                         [](std::string* out, const VaultDomain& domain) {
                                           out->append(domain.suffix);
                                         }),
                           ", without port, path or user"));
}

absl::Status CheckKeyRef(const VaultAddressPolicy& policy, const KeyRef& key) {
  CMK_RETURN_IF_ERROR(CheckVaultUri(policy, key.vault_uri));
  if (key.key_name.empty() || !IsKeyWord(key.key_name)) {
    return FieldInvalid("encryption.customer_managed.key_name",
                        "must be 1 to 127 characters of 0-9 A-Z a-z -");
  }
  if (!IsKeyWord(key.version)) {
    return FieldInvalid("encryption.customer_managed.key_version",
                        "must be at most 127 characters of 0-9 A-Z a-z -");
  }
  return absl::OkStatus();
}

}  // namespace cmkstore::vault
