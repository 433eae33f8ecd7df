#include "cli/connection.h"

#include <arpa/inet.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/errors.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "cli/pem.h"
#include "cli/profile.h"
#include "crypto/certificate_dates.h"
#include "crypto/tls_identity.h"

namespace cmkstore::cli {
namespace {

constexpr absl::Duration kCallTimeout = absl::Seconds(30);
constexpr int kMaxAnswerBytes = 16 << 20;

// An address, and no name that only looks like one: that may be anywhere.
bool IsLoopbackAddress(absl::string_view host) {
  in_addr address;
  return absl::StartsWith(host, "127.") &&
         inet_pton(AF_INET, std::string(host).c_str(), &address) == 1;
}

bool IsThisMachine(absl::string_view endpoint) {
  return absl::StartsWith(endpoint, "localhost:") || absl::StartsWith(endpoint, "[::1]:") ||
         absl::StartsWith(endpoint, "unix:") ||
         IsLoopbackAddress(endpoint.substr(0, endpoint.rfind(':')));
}

absl::StatusOr<std::string> Content(const std::string& path, absl::string_view flag) {
  auto content = ReadFile(path);
  if (content.has_value()) return *std::move(content);
  return StateInvalid(absl::StrCat("cannot read ", path, " (", flag, ")"));
}

absl::StatusOr<std::string> Pem(const std::string& path, absl::string_view flag,
                                absl::string_view label) {
  CMK_ASSIGN_OR_RETURN(std::string content, Content(path, flag));
  if (HoldsPem(content, label)) return content;
  return StateInvalid(absl::StrCat(path, " (", flag, ") holds no PEM block of a ", label));
}

// Visible characters alone: any other cannot stand in a header, and is of a file of another kind.
absl::StatusOr<std::string> Token(const std::string& path) {
  CMK_ASSIGN_OR_RETURN(const std::string content, Content(path, "--token-file"));
  const std::string token(absl::StripAsciiWhitespace(content));
  if (!token.empty() && std::all_of(token.begin(), token.end(), absl::ascii_isgraph)) return token;
  return StateInvalid(absl::StrCat(path, " (--token-file) holds no token"));
}

absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> TlsCredentials(
    const ConnectionOptions& options) {
  grpc::SslCredentialsOptions tls;
  if (!options.ca.empty()) {
    CMK_ASSIGN_OR_RETURN(tls.pem_root_certs, Pem(options.ca, "--ca", "CERTIFICATE"));
    const absl::Status read = crypto::EarliestCertificateEnd(tls.pem_root_certs).status();
    if (!read.ok()) return StateInvalid(absl::StrCat(options.ca, " (--ca): ", read.message()));
  }
  if (options.cert.empty() != options.key.empty()) {
    return StateInvalid("--cert and --key go together");
  }
  if (!options.cert.empty()) {
    CMK_ASSIGN_OR_RETURN(tls.pem_cert_chain, Pem(options.cert, "--cert", "CERTIFICATE"));
    CMK_ASSIGN_OR_RETURN(tls.pem_private_key, Pem(options.key, "--key", "PRIVATE KEY"));
    const absl::Status pair = crypto::CheckTlsIdentity(tls.pem_cert_chain, tls.pem_private_key,
                                                       /*client_ca=*/tls.pem_cert_chain);
    if (!pair.ok()) {
      return StateInvalid(absl::StrCat(options.cert, " (--cert) and ", options.key,
                                       " (--key) cannot be used: ", pair.message()));
    }
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
    CMK_ASSIGN_OR_RETURN(connection.token_, Token(options.token_file));
    const std::optional<TokenClaims> claims = ReadClaims(connection.token_);
    if (!claims.has_value() && options.tenant.empty()) {
      return StateInvalid(absl::StrCat(options.token_file,
                                       " (--token-file) holds no token that can be read (a JWT); "
                                       "put a token for this server into it"));
    }
    connection.claims_ = claims.value_or(TokenClaims());
    if (options.tenant.empty()) options.tenant = connection.claims_.tenant;
  }
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMaxAnswerBytes);
  // Between the tries of one that goes on by itself (watch, import): back soon after the server is.
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 200);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1000);
  arguments.SetInt(GRPC_ARG_DNS_MIN_TIME_BETWEEN_RESOLUTIONS_MS, 1000);
  // A peer that is gone without a word, as when its node lost power, is noticed within 40 s.
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 30'000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10'000);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  // A proxy of the environment would be told all that goes out unencrypted.
  if (!connection.encrypted_) arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
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
