#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "base/clock.h"

namespace cmkstore::dev_vault {

struct DevVaultOptions {
  std::string state_dir;
  std::string address = "127.0.0.1";  // loopback only, unless allow_non_loopback
  int port = 0;                       // 0: any free one
  bool allow_non_loopback = false;
  std::string recovery_level = "Recoverable";
  std::string tenant_id = "11111111-2222-4333-8444-555555555555";
  std::string client_id = "cmkstore-dev";
};

// Where a running vault is and how to come in; also written as JSON to <state_dir>/ready.json.
struct DevVaultEndpoints {
  std::string url;        // https://localhost:PORT
  std::string authority;  // the same server: https://localhost:PORT
  std::string tenant_id;
  std::string client_id;
  std::string ca_file;
  std::string secret_file;       // the client's secret
  std::string admin_token_file;  // for /_dev/…
};

// A faithful local Azure Key Vault: HTTPS with a certificate of its own CA, the REST calls of
// api-version 7.4 with the answers of the real one, a token endpoint whose tokens it verifies, and
// faults on demand. For development, demonstrations and tests; it keeps its keys in a plain file.
//
//   /keys/…, /deletedkeys/…             Azure Key Vault
//   /{tenant}/oauth2/v2.0/token         client credentials with a secret
//   /_dev/faults, /_dev/permissions, /_dev/stats   with the admin token
class DevVault {
 public:
  // Serves when it returns. Errors: STATE_INVALID (port taken, address not loopback, state
  // unreadable).
  static absl::StatusOr<std::unique_ptr<DevVault>> Start(const DevVaultOptions& options,
                                                         Clock& clock);
  ~DevVault();
  const DevVaultEndpoints& endpoints() const;

 private:
  class Server;
  explicit DevVault(std::unique_ptr<Server> server);
  std::unique_ptr<Server> server_;
};

}  // namespace cmkstore::dev_vault
