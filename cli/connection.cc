#include "cli/connection.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>

#include <chrono>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/errors.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "cli/profile.h"

namespace cmkstore::cli {
namespace {

constexpr absl::Duration kCallTimeout = absl::Seconds(30);
constexpr int kMaxAnswerBytes = 16 << 20;

bool IsThisMachine(absl::string_view endpoint) {
  return absl::StartsWith(endpoint, "localhost:") || absl::StartsWith(endpoint, "127.") ||
         absl::StartsWith(endpoint, "[::1]:") || absl::StartsWith(endpoint, "unix:");
}

absl::StatusOr<std::string> Content(const std::string& path, absl::string_view flag) {
  auto content = ReadFile(path);
  if (content.has_value()) return *std::move(content);
  return StateInvalid(absl::StrCat("cannot read ", path, " (", flag, ")"));
}

absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> TlsCredentials(
    const ConnectionOptions& options) {
  grpc::SslCredentialsOptions tls;
  if (!options.ca.empty()) {
    CMK_ASSIGN_OR_RETURN(tls.pem_root_certs, Content(options.ca, "--ca"));
  }
  if (options.cert.empty() != options.key.empty()) {
    return StateInvalid("--cert and --key go together");
  }
  if (!options.cert.empty()) {
    CMK_ASSIGN_OR_RETURN(tls.pem_cert_chain, Content(options.cert, "--cert"));
    CMK_ASSIGN_OR_RETURN(tls.pem_private_key, Content(options.key, "--key"));
  }
  return grpc::SslCredentials(tls);
}

}  // namespace

absl::StatusOr<Connection> Connection::Open(ConnectionOptions options) {
  CMK_RETURN_IF_ERROR(LoadProfile(options));
  if (options.endpoint.empty()) {
    return StateInvalid(
        "say which server: --endpoint HOST:PORT, CMKSTORE_ENDPOINT, or `endpoint` in a profile");
  }
  Connection connection;
  if (!options.timeout.empty()) {
    const bool parsed = absl::ParseDuration(options.timeout, &connection.timeout_);
    if (!parsed || connection.timeout_ <= absl::ZeroDuration()) {
      return StateInvalid(absl::StrCat("--timeout \"", options.timeout,
                                       "\" must be a duration such as 500ms, 30s or 5m"));
    }
  }
  auto credentials = grpc::InsecureChannelCredentials();
  connection.encrypted_ = !options.ca.empty() || !IsThisMachine(options.endpoint);
  if (connection.encrypted_) {
    CMK_ASSIGN_OR_RETURN(credentials, TlsCredentials(options));
  }
  if (!options.token_file.empty()) {
    CMK_ASSIGN_OR_RETURN(const std::string token, Content(options.token_file, "--token-file"));
    connection.token_ = std::string(absl::StripAsciiWhitespace(token));
    connection.claims_ = ReadClaims(connection.token_);
    if (options.tenant.empty()) options.tenant = connection.claims_.tenant;
  }
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMaxAnswerBytes);
  // Between the tries of one that goes on by itself (watch, import).
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 2000);
  connection.channel_ = grpc::CreateCustomChannel(options.endpoint, credentials, arguments);
  connection.options_ = std::move(options);
  return connection;
}

std::unique_ptr<grpc::ClientContext> Connection::NewCall() const {
  return NewCall(timeout_ == absl::InfiniteDuration() ? kCallTimeout : timeout_);
}

std::unique_ptr<grpc::ClientContext> Connection::NewCall(absl::Duration limit) const {
  auto context = std::make_unique<grpc::ClientContext>();
  if (limit != absl::InfiniteDuration()) {
    context->set_deadline(absl::ToChronoTime(absl::Now() + limit));
  }
  if (!token_.empty()) context->AddMetadata("authorization", "Bearer " + token_);
  return context;
}

}  // namespace cmkstore::cli
