#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/http_transport.h"
#include "crypto/random.h"

namespace cmkstore::vault {

// What is sent to a vault, each under an x-ms-client-request-id of its own, by which the log joins
// the request of ours that made it (RequestScope) with the vault's own log.
//
// Thread-safe, blocking. All that it is given by reference must outlive it. Neither headers nor
// bodies are ever logged.
class VaultHttp {
 public:
  VaultHttp(HttpTransport& transport, Clock& clock, crypto::Random& random)
      : transport_(transport), clock_(clock), random_(random) {}

  // What the log says of the call.
  struct Call {
    const std::string& vault_uri;
    absl::string_view operation;
    int good_status = 200;
  };
  // Adds the id to `request`.
  absl::StatusOr<HttpResponse> Send(const Call& call, HttpRequest& request, absl::Time deadline);

 private:
  HttpTransport& transport_;
  Clock& clock_;
  crypto::Random& random_;
};

}  // namespace cmkstore::vault
