#pragma once

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "cli/connection_options.h"
#include "cli/token_claims.h"

namespace cmkstore::cli {

// A server as a command sees it: channel, credentials, tenant and time limit.
//
// TLS with the given CA; without one the system's CAs, but plaintext to this machine itself
// (loopback or a socket file), so that a token never crosses a network in the clear.
class Connection {
 public:
  // Applies the profile and reads the files, also those of options() of another. Makes no call yet.
  // Errors: STATE_INVALID naming the file or the setting that is missing or of the wrong kind.
  static absl::StatusOr<Connection> Open(ConnectionOptions options);

  const std::shared_ptr<grpc::Channel>& channel() const { return channel_; }
  const ConnectionOptions& options() const { return options_; }
  const TokenClaims& claims() const { return claims_; }
  bool encrypted() const { return encrypted_; }
  // As given, else the token's; may be empty.
  const std::string& tenant() const { return options_.tenant; }
  // Nothing was asked for: infinite.
  absl::Duration timeout() const { return timeout_; }

  // A context with the token and the time limit (default 30 s); one per call.
  std::unique_ptr<grpc::ClientContext> NewCall() const;
  // The same with a time limit of the command's own, for streams and waits.
  std::unique_ptr<grpc::ClientContext> NewCall(absl::Duration limit) const;

 private:
  ConnectionOptions options_;
  TokenClaims claims_;
  absl::Duration timeout_ = absl::InfiniteDuration();
  bool encrypted_ = false;
  std::shared_ptr<grpc::Channel> channel_;
  std::string token_;
};

}  // namespace cmkstore::cli
