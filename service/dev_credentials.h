#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "base/clock.h"
#include "service/authenticator.h"

namespace cmkstore::service {

// What development mode mints, new at each start, under <data_dir>/dev (mode 0600):
//   ca.pem  server.pem server.key  client.pem client.key   for mutual TLS on localhost
//   owner.token contributor.token reader.token key_admin.token auditor.token operator.token
//                                                           for one tenant, valid 12 hours
struct DevCredentials {
  std::string directory;
  IssuerOptions issuer;
};

// Errors: INVARIANT when a file cannot be written.
absl::StatusOr<DevCredentials> MintDevCredentials(const std::string& data_dir,
                                                  const std::string& tenant, Clock& clock);

}  // namespace cmkstore::service
