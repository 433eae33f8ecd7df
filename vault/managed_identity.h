#pragma once

#include <atomic>
#include <string>

#include "vault/token_source.h"

namespace cmkstore::vault {

// Azure's instance metadata service. It is not always up to it: 404, 429 and 5xx are tried again
// after 2, 6, 14 and 30 s, 410 (it is being updated) for 70 s; any other 4xx is final.
// It gives tokens of the directory that the machine's subscription belongs to, and of no other.
//
// `transport` must use no proxy.
class ManagedIdentity final : public TokenSource {
 public:
  ManagedIdentity(IdentityOptions options, HttpTransport& transport, Clock& clock)
      : options_(std::move(options)), transport_(transport), clock_(clock) {}

  absl::StatusOr<AccessToken> Fetch(const TokenRequest& wanted, absl::Time deadline) override;
  bool HasOneDirectory() const override { return true; }
  void Cancel() override { cancelled_ = true; }

 private:
  bool Wait(absl::Duration delay);

  const IdentityOptions options_;
  HttpTransport& transport_;
  Clock& clock_;
  std::atomic<bool> cancelled_{false};
};

}  // namespace cmkstore::vault
