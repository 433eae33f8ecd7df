#include "tests/bench/bench_service.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>

#include <filesystem>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "service/dev_credentials.h"

namespace cmkstore::bench {
namespace {

grpc::ChannelArguments OwnConnection() {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(64 << 20);
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return arguments;
}

}  // namespace

std::shared_ptr<grpc::Channel> PlaintextChannel(int port) {
  return grpc::CreateCustomChannel(absl::StrCat("127.0.0.1:", port),
                                   grpc::InsecureChannelCredentials(), OwnConnection());
}

std::shared_ptr<grpc::Channel> MutualTlsChannel(int port, const std::string& credentials) {
  const auto read = [&](const std::string& name) {
    return ReadFile(credentials + "/" + name).value_or("");
  };
  grpc::SslCredentialsOptions tls;
  tls.pem_root_certs = read("ca.pem");
  tls.pem_private_key = read("client.key");
  tls.pem_cert_chain = read("client.pem");
  return grpc::CreateCustomChannel(absl::StrCat("localhost:", port), grpc::SslCredentials(tls),
                                   OwnConnection());
}

absl::StatusOr<std::unique_ptr<BenchService>> BenchService::Launch(const std::string& program,
                                                                   const std::string& directory,
                                                                   Transport transport,
                                                                   const BenchVault& vault) {
  std::filesystem::create_directories(directory);
  std::unique_ptr<BenchService> service(new BenchService(program, directory, transport));
  CMK_RETURN_IF_ERROR(service->Restart(vault));
  return service;
}

absl::Status BenchService::Restart(const BenchVault& vault) {
  client_.reset();
  process_.reset();
  const std::string ready_file = directory_ + "/address";
  std::vector<std::string> command = {program_,   "--data-dir",   directory_ + "/data",
                                      "--listen", "127.0.0.1:0",  "--ready-file",
                                      ready_file, "--development"};
  if (transport_ == Transport::kPlaintext) command.push_back("--plaintext");
  for (const std::string& flag : vault.ServerFlags()) command.push_back(flag);
  CMK_ASSIGN_OR_RETURN(process_,
                       ChildProcess::Start(command, directory_ + "/server.log", ready_file));
  const std::string address = ReadFile(ready_file).value_or("");
  int port = 0;
  if (!absl::SimpleAtoi(address.substr(address.rfind(':') + 1), &port)) {
    return absl::InternalError("the server does not say its port");
  }
  Connect(transport_ == Transport::kPlaintext ? PlaintextChannel(port)
                                              : MutualTlsChannel(port, directory_ + "/data/dev"),
          vault.tenant());
  return absl::OkStatus();
}

void BenchService::Connect(std::shared_ptr<grpc::Channel> channel, const std::string& tenant) {
  client_ = std::make_unique<ServiceClient>(std::move(channel), directory_ + "/data/dev", tenant);
}

absl::StatusOr<std::unique_ptr<BenchService>> BenchService::InProcess(const std::string& directory,
                                                                      const BenchVault& vault,
                                                                      Clock& clock) {
  std::filesystem::create_directories(directory);
  SetLogFile(directory + "/server.log");
  std::unique_ptr<BenchService> service(new BenchService("", directory, Transport::kPlaintext));
  service::ServerOptions options;
  options.data_dir = directory + "/data";
  CMK_ASSIGN_OR_RETURN(const service::DevCredentials minted,
                       service::MintDevCredentials(options.data_dir, vault.tenant(), clock));
  options.issuers = {minted.issuer};
  options.vault_ca_file = vault.ca_file();
  options.vault_addresses.allowed_hosts = {vault.url().substr(std::string("https://").size())};
  vault::IdentityOptions identity;
  identity.kind = vault::IdentityOptions::Kind::kClientSecret;
  identity.authority = vault.authority();
  identity.tenant_id = vault.tenant();
  identity.client_id = vault.client_id();
  identity.secret_file = vault.secret_file();
  options.identities.emplace_back("", identity);
  CMK_ASSIGN_OR_RETURN(service->server_, service::Server::Start(std::move(options), clock));
  service->Connect(service->server_->InProcessChannel(), vault.tenant());
  return service;
}

}  // namespace cmkstore::bench
