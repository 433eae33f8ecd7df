#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/clock.h"

namespace cmkstore::dev_vault {

struct DevVaultOptions {
  std::string state_dir;
  std::string address = "127.0.0.1";  // loopback only, unless allow_non_loopback
  int port = 0;                       // 0: any free one
  int imds_port = 0;                  // of the instance metadata service; 0: any free one
  bool allow_non_loopback = false;
  std::string recovery_level = "Recoverable";  // of vaults that the admin API did not set up
  bool managed_hsm = false;                    // what such vaults are
  std::string tenant_id = "11111111-2222-4333-8444-555555555555";
  std::string client_id = "cmkstore-dev";  // the first identity; it has every permission
  // Host by which callers reach the server, in its URLs and its certificate.
  std::string host = "localhost";
  std::vector<std::string> certificate_names;  // more names, "DNS:…" or "IP:…"
  bool tls_1_2_only = false;
  // Makes a certificate for the first identity, which takes the making of one more RSA key.
  bool client_certificate = false;
};

// Where a running vault is and how to come in; also written as JSON to <state_dir>/ready.json.
struct DevVaultEndpoints {
  std::string url;        // https://localhost:PORT
  std::string authority;  // the same server: https://localhost:PORT
  std::string tenant_id;
  std::string client_id;
  std::string ca_file;
  std::string secret_file;           // the client's secret
  std::string admin_token_file;      // for /_dev/…
  std::string imds_url;              // http://127.0.0.1:PORT
  std::string certificate_file;      // PEM: the client's private key and certificate, if it has one
  std::string federated_token_file;  // a service account's token, good for 24 h after the start
};

// A faithful local Azure Key Vault: HTTPS with a certificate of its own CA, the REST calls of
// api-version 7.4 with the answers of the real one, a directory that issues the tokens which it
// verifies, and faults on demand. For development, demonstrations and tests; it keeps its keys in
// plain files.
//
//   /keys/…, /deletedkeys/…                                  Azure Key Vault; one vault per host
//   name
//   /{tenant}/oauth2/v2.0/token and discovery                Entra ID: secret, certificate,
//   federation /metadata/identity/oauth2/token, on a port of its own    instance metadata service
//   /_dev/…                                                  the admin API of docs/devvault.md
class DevVault {
 public:
  // Serves when it returns. `clock` must outlive it. Errors: STATE_INVALID (port taken, address not
  // loopback, state unreadable, state folder in use by another).
  static absl::StatusOr<std::unique_ptr<DevVault>> Start(const DevVaultOptions& options,
                                                         Clock& clock);
  ~DevVault();
  const DevVaultEndpoints& endpoints() const;

 private:
  class Process;
  explicit DevVault(std::unique_ptr<Process> process);
  std::unique_ptr<Process> process_;
};

}  // namespace cmkstore::dev_vault
