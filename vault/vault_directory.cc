#include "vault/vault_directory.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "base/errors.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "vault/azure_answers.h"
#include "vault/vault_errors.h"

namespace cmkstore::vault {

absl::StatusOr<std::string> VaultDirectory::Ask(const std::string& tenant, const KeyRef& key,
                                                absl::Time deadline) {
  HttpRequest request;
  request.url = absl::StrCat(key.vault_uri, "/keys/", key.key_name, kApiVersion);
  request.headers = {{"Accept", "application/json"}};
  CMK_RETURN_IF_ERROR(budget_.AwaitWithoutToken(tenant, key.vault_uri, deadline));
  meter_.CountWithoutToken(key.vault_uri);
  CMK_ASSIGN_OR_RETURN(const HttpResponse response,
                       http_.Send({key.vault_uri, "directory", 401}, request,
                                  std::min(deadline, clock_.WallNow() + options_.call_timeout)));
  const bool local = IsLocal(addresses_, HostOf(key.vault_uri));
  if (response.status == 401) {
    const std::string directory = ChallengeDirectory(response.Header("WWW-Authenticate"));
    if (!directory.empty() || local) return directory;
  } else if (response.status != 200) {
    const absl::Status meaning = MeaningOf(VaultOperation::kDescribe, response);
    if (OutcomeOf(meaning) == VaultOutcome::kThrottled) {
      budget_.Throttled(key.vault_uri, RetryAfterOf(meaning).value_or(absl::ZeroDuration()), 0);
    }
    if (OutcomeOf(meaning) != VaultOutcome::kDenied) return meaning;
    // Nobody has asked for the key yet: it is not withdrawn.
    return WithCause(UnknownAnswer(absl::StrCat("a call without a token is answered ",
                                                response.status, " (", CauseOf(meaning), ")")),
                     CauseOf(meaning));
  } else if (local) {
    return "";  // one that lets everyone in
  }
  return UnknownAnswer("the vault does not say which directory it belongs to");
}

absl::StatusOr<std::string> VaultDirectory::CheckMayName(const std::string& tenant,
                                                         const KeyRef& key, absl::Time deadline) {
  const std::string caller = absl::AsciiStrToLower(tenant);
  CMK_ASSIGN_OR_RETURN(std::string directory, Ask(caller, key, deadline));
  if (directory.empty() || directory == caller) return directory;
  if (const auto shared = options_.shared.find(directory); shared != options_.shared.end()) {
    if (shared->second.contains("*") || shared->second.contains(caller)) return directory;
  }
  Log(LogLevel::kWarning, "vault_of_another_directory",
      {{"tenant", tenant}, {"vault", key.vault_uri}, {"directory", directory}});
  return FieldInvalid("encryption.customer_managed.vault_uri",
                      absl::StrCat("is a vault of directory ", directory,
                                   ", which is neither the tenant's own nor one that the operator "
                                   "of this server shares with it"));
}

}  // namespace cmkstore::vault
