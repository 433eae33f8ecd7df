#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "base/clock.h"
#include "service/authenticator.h"

namespace cmkstore::service {

// <data_dir>/dev (mode 0600): ca.key ca.pem server.key server.pem client.key client.pem, for mutual
// TLS on localhost; token.key and, for one tenant and 12 hours, owner.token contributor.token
// reader.token key_admin.token auditor.token operator.token. The keys are made once and kept, what
// they sign is made at each start: a server that is started again takes what its clients hold.
struct DevCredentials {
  std::string directory;
  IssuerOptions issuer;
};

// Errors: INVARIANT when a file cannot be written.
absl::StatusOr<DevCredentials> MintDevCredentials(const std::string& data_dir,
                                                  const std::string& tenant, Clock& clock);

}  // namespace cmkstore::service
