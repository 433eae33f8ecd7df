#include "cli/vault_key_url.h"

#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/errors.h"

namespace cmkstore::cli {

absl::StatusOr<v1::CustomerManagedKey> ParseVaultKey(const std::string& url) {
  const std::vector<std::string> halves = absl::StrSplit(url, absl::MaxSplits("/keys/", 1));
  const std::vector<std::string> name =
      halves.size() == 2 ? absl::StrSplit(halves[1], '/') : std::vector<std::string>();
  if (!absl::StartsWith(url, "https://") || name.empty() || name.size() > 2 || name[0].empty()) {
    return FieldInvalid("--vault-key", "must be https://HOST/keys/NAME or …/NAME/VERSION");
  }
  v1::CustomerManagedKey key;
  key.set_vault_uri(halves[0]);
  key.set_key_name(name[0]);
  if (name.size() == 2) key.set_key_version(name[1]);
  return key;
}

std::string KeyText(const v1::Encryption& encryption) {
  if (encryption.has_platform_managed()) return "platform";
  const v1::CustomerManagedKey& key = encryption.customer_managed();
  return absl::StrCat(key.vault_uri(), "/keys/", key.key_name(),
                      key.key_version().empty() ? "" : "/", key.key_version());
}

}  // namespace cmkstore::cli
