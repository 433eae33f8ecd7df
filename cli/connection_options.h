#pragma once

#include <string>

namespace cmkstore::cli {

// How to reach a server and as whom. A flag comes before its environment variable, that before the
// profile.
struct ConnectionOptions {
  std::string profile;       // --profile, CMKSTORE_PROFILE; a section of the profile file
  std::string profile_file;  // CMKSTORE_CONFIG
  std::string endpoint;      // --endpoint, CMKSTORE_ENDPOINT; host:port
  std::string ca;            // --ca, CMKSTORE_CA; PEM of the server's CA
  std::string cert, key;     // --cert, --key, CMKSTORE_CERT, CMKSTORE_KEY; PEM, for mutual TLS
  std::string token_file;    // --token-file, CMKSTORE_TOKEN_FILE
  std::string tenant;        // --tenant, CMKSTORE_TENANT; default: the token's
  std::string timeout;       // --timeout, CMKSTORE_TIMEOUT; "30s", "2m"
};

}  // namespace cmkstore::cli
