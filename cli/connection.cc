#include "cli/connection.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>

#include <chrono>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "base/errors.h"
#include "base/file.h"

namespace cmkstore::cli {

absl::StatusOr<Connection> Connection::Open(const ConnectionOptions& options) {
  if (options.endpoint.empty()) {
    return StateInvalid("say which server: --endpoint HOST:PORT or CMKSTORE_ENDPOINT");
  }
  Connection connection;
  std::shared_ptr<grpc::ChannelCredentials> credentials = grpc::InsecureChannelCredentials();
  if (!options.ca.empty()) {
    grpc::SslCredentialsOptions tls;
    for (auto& [path, pem] : {std::pair{&options.ca, &tls.pem_root_certs},
                              std::pair{&options.cert, &tls.pem_cert_chain},
                              std::pair{&options.key, &tls.pem_private_key}}) {
      if (path->empty()) continue;
      const std::optional<std::string> content = ReadFile(*path);
      if (!content) return StateInvalid(absl::StrCat("cannot read ", *path));
      *pem = *content;
    }
    credentials = grpc::SslCredentials(tls);
  }
  if (!options.token_file.empty()) {
    const std::optional<std::string> token = ReadFile(options.token_file);
    if (!token) return StateInvalid(absl::StrCat("cannot read ", options.token_file));
    connection.token_ = std::string(absl::StripAsciiWhitespace(*token));
  }
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(16 << 20);
  connection.channel_ = grpc::CreateCustomChannel(options.endpoint, credentials, arguments);
  return connection;
}

std::unique_ptr<grpc::ClientContext> Connection::NewCall(int seconds) const {
  auto context = std::make_unique<grpc::ClientContext>();
  context->set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(seconds));
  if (!token_.empty()) context->AddMetadata("authorization", "Bearer " + token_);
  return context;
}

}  // namespace cmkstore::cli
