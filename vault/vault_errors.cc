#include "vault/vault_errors.h"

#include "base/errors.h"

namespace cmkstore::vault {

absl::Status TokenRefused() {
  return WithCause(VaultLoginFailed("the vault refuses our token"), kTokenRefused);
}

VaultOutcome OutcomeOf(const absl::Status& status) {
  if (status.ok()) return VaultOutcome::kHealthy;
  const std::string reason = ReasonOf(status);
  if (reason == "CUSTOMER_KEY_REVOKED") return VaultOutcome::kDenied;
  if (reason == "CUSTOMER_KEY_UNFIT") return VaultOutcome::kUnfit;
  if (reason == "DEK_RECORD_CORRUPT" || reason == "DEK_NOT_FOUND" || reason == "DOCUMENT_CORRUPT") {
    return VaultOutcome::kCorrupt;
  }
  if (reason == "VAULT_THROTTLED") return VaultOutcome::kThrottled;
  if (reason == "VAULT_LOGIN_FAILED") return VaultOutcome::kLoginFailed;
  return VaultOutcome::kUnreachable;
}

absl::string_view ToString(VaultOutcome outcome) {
  switch (outcome) {
    case VaultOutcome::kHealthy: return "healthy";
    case VaultOutcome::kDenied: return "denied";
    case VaultOutcome::kUnreachable: return "unreachable";
    case VaultOutcome::kThrottled: return "throttled";
    case VaultOutcome::kLoginFailed: return "login_failed";
    case VaultOutcome::kUnfit: return "unfit";
    case VaultOutcome::kCorrupt: return "corrupt";
  }
  return "unreachable";
}

}  // namespace cmkstore::vault
