#include "vault/vault_uri.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
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

}  // namespace

absl::string_view HostOf(absl::string_view vault_uri) { return vault_uri.substr(kScheme.size()); }

absl::Status CheckVaultUri(const VaultAddressPolicy& policy, absl::string_view uri) {
  if (uri.size() > kMaxUriBytes || !absl::StartsWith(uri, kScheme)) {
    return FieldInvalid(kField, "must be https://HOST of at most 128 bytes, without a path");
  }
  const absl::string_view host = HostOf(uri);
  if (std::find(policy.allowed_hosts.begin(), policy.allowed_hosts.end(), host) !=
      policy.allowed_hosts.end()) {
    return absl::OkStatus();
  }
  for (const std::string& suffix : policy.allowed_suffixes) {
    if (absl::EndsWith(host, suffix) && IsLabel(host.substr(0, host.size() - suffix.size()))) {
      return absl::OkStatus();
    }
  }
  return FieldInvalid(kField, absl::StrCat("must be https://NAME with NAME under one of ",
                                           absl::StrJoin(policy.allowed_suffixes, ", "),
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
