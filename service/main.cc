// cmkstored: the server.

#include <signal.h>
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "base/errors.h"
#include "base/file.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "crypto/secret_bytes.h"
#include "service/dev_credentials.h"
#include "service/server.h"

namespace cmkstore::service {
namespace {

constexpr size_t kSecretMemoryBytes = 1u << 20;
constexpr rlim_t kDescriptors = 65'536;
constexpr absl::Duration kDrainTime = absl::Seconds(20);

struct Flags {
  std::string data_dir;
  std::string listen = "127.0.0.1:7443";
  std::string ready_file;
  bool development = false;
  bool plaintext = false;
  std::string dev_tenant = "11111111-2222-4333-8444-555555555555";
  std::string tls_cert, tls_key, client_ca;
  std::string issuer, audience = "api://cmkstore", jwks_file;
  uint32_t shards = 4;
  size_t queues = 1;
  std::vector<std::string> vault_hosts;
  std::string vault_ca;
  std::string identity_kind = "managed-identity";
  vault::IdentityOptions identity;
};

void Declare(CLI::App& app, Flags& flags) {
  app.add_option("--data-dir", flags.data_dir, "Where everything is kept")->required();
  app.add_option("--listen", flags.listen, "Address and port")->capture_default_str();
  app.add_option("--ready-file", flags.ready_file, "Written with the address once it serves");
  app.add_option("--shards", flags.shards, "Storage shards; fixed at the first start")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  app.add_option("--queues", flags.queues, "Request threads")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  app.add_flag("--development", flags.development,
               "On loopback only: mint certificates and tokens into DATA_DIR/dev");
  app.add_flag("--plaintext", flags.plaintext, "With --development: listen without TLS");
  app.add_option("--dev-tenant", flags.dev_tenant, "Tenant of the minted tokens")
      ->capture_default_str();
  app.add_option("--tls-cert", flags.tls_cert, "PEM certificate chain of the server");
  app.add_option("--tls-key", flags.tls_key, "PEM key of the server");
  app.add_option("--client-ca", flags.client_ca, "PEM CA that callers' certificates must be of");
  app.add_option("--issuer", flags.issuer, "Issuer of callers' tokens (exact `iss`)");
  app.add_option("--audience", flags.audience, "Audience of callers' tokens")
      ->capture_default_str();
  app.add_option("--jwks-file", flags.jwks_file, "The issuer's key set");
  app.add_option("--vault-host", flags.vault_hosts,
                 "With --development: HOST:PORT of a local vault that hubs may name");
  app.add_option("--vault-ca", flags.vault_ca, "PEM CA of vaults; default: the system's");
  app.add_option("--identity", flags.identity_kind, "How to log in to vaults")
      ->check(CLI::IsMember({"managed-identity", "workload-identity", "client-secret"}))
      ->capture_default_str();
  app.add_option("--authority", flags.identity.authority, "Token endpoint's base URL")
      ->capture_default_str();
  app.add_option("--identity-tenant", flags.identity.tenant_id, "Tenant of our identity");
  app.add_option("--identity-client", flags.identity.client_id, "Client id of our identity");
  app.add_option("--identity-secret-file", flags.identity.secret_file, "Client secret");
  app.add_option("--identity-token-file", flags.identity.token_file, "Federated token");
}

absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> TlsCredentials(const std::string& cert,
                                                                        const std::string& key,
                                                                        const std::string& ca) {
  const auto cert_pem = ReadFile(cert), key_pem = ReadFile(key), ca_pem = ReadFile(ca);
  if (!cert_pem || !key_pem || !ca_pem) {
    return StateInvalid(
        "--tls-cert, --tls-key and --client-ca must name readable PEM files (or use "
        "--development)");
  }
  // A caller without a certificate gets no stream at all, which also ends floods before they begin.
  grpc::SslServerCredentialsOptions tls(GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  tls.pem_root_certs = *ca_pem;
  tls.pem_key_cert_pairs.push_back({*key_pem, *cert_pem});
  return grpc::SslServerCredentials(tls);
}

absl::StatusOr<ServerOptions> ToOptions(Flags flags, Clock& clock) {
  ServerOptions options;
  options.data_dir = flags.data_dir;
  options.shards.shards = flags.shards;
  options.rpc.queues = flags.queues;
  options.vault_ca_file = flags.vault_ca;
  RpcListener listener;
  listener.address = flags.listen;
  const bool loopback =
      absl::StartsWith(flags.listen, "127.") || absl::StartsWith(flags.listen, "localhost:") ||
      absl::StartsWith(flags.listen, "[::1]:") || absl::StartsWith(flags.listen, "unix:");
  if (flags.development) {
    if (!loopback) return StateInvalid("--development listens on loopback only");
    CMK_ASSIGN_OR_RETURN(const DevCredentials minted,
                         MintDevCredentials(flags.data_dir, flags.dev_tenant, clock));
    options.issuers.push_back(minted.issuer);
    flags.tls_cert = minted.directory + "/server.pem";
    flags.tls_key = minted.directory + "/server.key";
    flags.client_ca = minted.directory + "/ca.pem";
    options.vault_addresses.allowed_hosts = flags.vault_hosts;
  } else if (flags.plaintext || !flags.vault_hosts.empty()) {
    return StateInvalid("--plaintext and --vault-host go with --development");
  }
  if (!flags.issuer.empty()) {
    const auto jwks = ReadFile(flags.jwks_file);
    if (!jwks) return StateInvalid("--jwks-file must name a readable file");
    options.issuers.push_back({flags.issuer, flags.audience, *jwks});
  }
  if (options.issuers.empty()) return StateInvalid("--issuer and --jwks-file are needed");
  if (flags.plaintext) {
    listener.credentials = grpc::InsecureServerCredentials();
  } else {
    CMK_ASSIGN_OR_RETURN(listener.credentials,
                         TlsCredentials(flags.tls_cert, flags.tls_key, flags.client_ca));
  }
  options.listeners.push_back(std::move(listener));
  using Kind = vault::IdentityOptions::Kind;
  flags.identity.kind = flags.identity_kind == "client-secret"       ? Kind::kClientSecret
                        : flags.identity_kind == "workload-identity" ? Kind::kWorkloadIdentity
                                                                     : Kind::kManagedIdentity;
  options.identities.emplace_back("", flags.identity);
  return options;
}

int Run(const Flags& flags) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  signal(SIGPIPE, SIG_IGN);
  rlimit descriptors{};
  getrlimit(RLIMIT_NOFILE, &descriptors);
  descriptors.rlim_cur = std::min(kDescriptors, descriptors.rlim_max);
  setrlimit(RLIMIT_NOFILE, &descriptors);
  if (!crypto::ReserveSecretMemory(kSecretMemoryBytes)) {
    Log(LogLevel::kWarning, "secret_memory_not_locked");
  }
  SystemClock clock;
  auto options = ToOptions(flags, clock);
  auto server = options.ok() ? Server::Start(*std::move(options), clock)
                             : absl::StatusOr<std::unique_ptr<Server>>(options.status());
  if (!server.ok()) {
    std::fprintf(stderr, "cmkstored: %s\n", std::string(server.status().message()).c_str());
    return 1;
  }
  const std::string host = flags.listen.substr(0, flags.listen.rfind(':'));
  const std::string address = absl::StrCat(host, ":", (*server)->port());
  Log(LogLevel::kInfo, "serving", {{"address", address}});
  if (!flags.ready_file.empty()) WriteFileDurably(flags.ready_file, address + "\n");
  int received = 0;
  sigwait(&signals, &received);
  Log(LogLevel::kInfo, "draining");
  (*server)->Shutdown(kDrainTime);
  return 0;
}

}  // namespace
}  // namespace cmkstore::service

int main(int argc, char** argv) {
  CLI::App app(
      "cmkstored: a metadata store in which every document is sealed under its hub's own key.\n\n"
      "Development: cmkstored --data-dir /tmp/cmk --development --listen 127.0.0.1:7443");
  cmkstore::service::Flags flags;
  cmkstore::service::Declare(app, flags);
  CLI11_PARSE(app, argc, argv);
  return cmkstore::service::Run(flags);
}
