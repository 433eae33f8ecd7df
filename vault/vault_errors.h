#pragma once

#include <array>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace cmkstore::vault {

// What an answer of a vault means for the hubs on its key (key_lifecycle.md KL-3). The order is no
// ranking.
enum class VaultOutcome {
  kHealthy,      // the operation worked
  kDenied,       // the customer withdrew the key: lock
  kUnreachable,  // nobody's decision: serve from the cache within the grace period
  kThrottled,    // as kUnreachable, and call less
  kLoginFailed,  // our own credential: as kUnreachable, and page us
  kUnfit,        // the key cannot wrap now, though it may unwrap: cannot mint or rewrap
  kCorrupt,      // the stored ciphertext is bad: page, never lock
};

// What can stand between us and a vault's word: CauseOf an answer that is kUnreachable, kThrottled
// or kLoginFailed.
inline constexpr std::array<absl::string_view, 12> kOutageCauses = {
    "dns",   "connect",    "tls",           "timeout",   "http_5xx",  "throttled",
    "login", "no_consent", "token_refused", "too_large", "transport", "unknown"};
// We have no token: our own trouble ("login"), or the vault's directory does not know us.
inline constexpr absl::string_view kNoConsent = "no_consent";
// The vault did not take the token that we have.
inline constexpr absl::string_view kTokenRefused = "token_refused";
absl::Status TokenRefused();

// By the status's reason; anything unknown is kUnreachable.
VaultOutcome OutcomeOf(const absl::Status& status);
absl::string_view ToString(VaultOutcome outcome);

}  // namespace cmkstore::vault
