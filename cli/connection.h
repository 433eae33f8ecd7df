#pragma once

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include <memory>
#include <string>

#include "absl/status/statusor.h"

namespace cmkstore::cli {

// How to reach a server and as whom: flags, or the environment variable of the same meaning.
struct ConnectionOptions {
  std::string endpoint;    // CMKSTORE_ENDPOINT, host:port
  std::string ca;          // CMKSTORE_CA; with it TLS, without it plaintext
  std::string cert, key;   // CMKSTORE_CERT, CMKSTORE_KEY; for mutual TLS
  std::string token_file;  // CMKSTORE_TOKEN_FILE
  std::string tenant;      // CMKSTORE_TENANT
  bool json = false;
};

class Connection {
 public:
  // Errors: STATE_INVALID naming the file or the setting that is missing.
  static absl::StatusOr<Connection> Open(const ConnectionOptions& options);

  const std::shared_ptr<grpc::Channel>& channel() const { return channel_; }
  // A context with the token and a deadline; one per call.
  std::unique_ptr<grpc::ClientContext> NewCall(int seconds = 30) const;

 private:
  std::shared_ptr<grpc::Channel> channel_;
  std::string token_;
};

}  // namespace cmkstore::cli
