#include "service/server_setup.h"

#include <grpcpp/security/server_credentials.h>
#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_credentials_options.h>

#include <cstdlib>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "base/errors.h"
#include "base/file.h"
#include "base/log.h"
#include "base/private_directory.h"
#include "base/status_macros.h"
#include "service/config/config_rules.h"
#include "service/dev_credentials.h"
#include "service/timestamps.h"
#include "vault/token_source.h"
#include "vault/vault_uri.h"

namespace cmkstore::service {
namespace {

absl::StatusOr<std::string> ReadNamedFile(const LoadedConfig& loaded, const std::string& path,
                                          const std::string& file) {
  std::optional<std::string> content = ReadFile(file);
  if (content.has_value() && !content->empty()) return *std::move(content);
  return ToStatus(
      loaded, {{path, absl::StrCat(file, " cannot be read or is empty; name a readable file")}});
}

// A caller without a certificate gets no stream at all, which also ends floods before they begin.
std::shared_ptr<grpc::ServerCredentials> WatchedTls(const TlsFiles::Paths& shown) {
  constexpr unsigned kLookSeconds = 1;  // at copies in memory
  const auto files = std::make_shared<grpc::experimental::FileWatcherCertificateProvider>(
      shown.key, shown.certificate, shown.client_ca, kLookSeconds);
  grpc::experimental::TlsServerCredentialsOptions options(files);
  options.watch_root_certs();
  options.watch_identity_key_cert_pairs();
  options.set_cert_request_type(GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  return grpc::experimental::TlsServerCredentials(options);
}

std::optional<std::string> FromEnvironment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::nullopt : std::optional<std::string>(value);
}

void SetStore(const config::v1::Store& store, store::ShardSetOptions& options) {
  options.shards = store.shards();
  options.block_cache_bytes = store.block_cache();
  options.write_buffer_bytes = store.write_buffer();
  options.background_bytes_per_second = store.background_bandwidth();
  options.limits.max_queued_writes = store.max_queued_writes();
  options.limits.max_queued_bytes = store.max_queued_bytes();
}

void SetRequests(const config::v1::Requests& requests, RpcServerOptions& options) {
  options.queues = requests.queues();
  options.armed_calls = requests.armed_calls();
  options.control_threads = requests.control_threads();
  options.max_queued_control_calls = requests.max_queued_control_calls();
}

}  // namespace

BackupOptions ToBackupOptions(const config::v1::Backup& backup) {
  BackupOptions options;
  options.directory = backup.directory();
  options.receipts_directory = backup.receipts_directory();
  options.keep = backup.keep();
  options.bytes_per_second = backup.bandwidth();
  return options;
}

QuotaOptions ToQuotaOptions(const config::v1::Quotas& quotas) {
  QuotaOptions options;
  options.of_each = {quotas.requests_per_second(), quotas.burst(), quotas.documents(),
                     quotas.stored_bytes()};
  for (const config::v1::TenantQuota& tenant : quotas.tenants()) {
    QuotaLimits& limits = options.of_some[tenant.tenant()] = options.of_each;
    if (tenant.has_requests_per_second()) limits.requests_per_second = tenant.requests_per_second();
    if (tenant.has_burst()) limits.burst = tenant.burst();
    if (tenant.has_documents()) limits.documents = tenant.documents();
    if (tenant.has_stored_bytes()) limits.stored_bytes = tenant.stored_bytes();
  }
  return options;
}

absl::StatusOr<std::vector<IssuerOptions>> ReadIssuers(const LoadedConfig& loaded) {
  std::vector<IssuerOptions> issuers;
  for (int i = 0; i < loaded.config.issuers_size(); ++i) {
    const config::v1::Issuer& issuer = loaded.config.issuers(i);
    IssuerOptions options{issuer.issuer(), issuer.audience(), "", issuer.jwks_url()};
    for (const config::v1::Workload& one : issuer.workloads()) {
      options.workloads.push_back(
          {one.subject(), one.tenant(), {one.roles().begin(), one.roles().end()}});
    }
    if (options.jwks_url.empty()) {
      CMK_ASSIGN_OR_RETURN(
          options.jwks,
          ReadNamedFile(loaded, absl::StrCat("issuers[", i, "].jwks_file"), issuer.jwks_file()));
    }
    issuers.push_back(std::move(options));
  }
  return issuers;
}

absl::StatusOr<std::unique_ptr<FileLock>> LockDevelopment(const config::v1::Config& config) {
  if (!config.development().enabled()) return nullptr;
  const std::string directory = config.data_dir() + "/dev";
  CMK_RETURN_IF_ERROR(MakePrivateDirectory(config.data_dir()));
  CMK_RETURN_IF_ERROR(MakePrivateDirectory(directory));
  auto lock = FileLock::TryTake(directory + "/lock");
  if (lock != nullptr) return lock;
  return StateInvalid(absl::StrCat(
      "another server in development serves from ", config.data_dir(),
      " (or its file dev/lock cannot be opened); end that one, or give this one a --data-dir of "
      "its own"));
}

absl::StatusOr<ServerOptions> MakeServerOptions(const LoadedConfig& loaded, Clock& clock) {
  const config::v1::Config& config = loaded.config;
  CMK_RETURN_IF_ERROR(ToStatus(loaded, CheckRules(config)));
  ServerOptions options;
  options.data_dir = config.data_dir();
  CMK_ASSIGN_OR_RETURN(options.issuers, ReadIssuers(loaded));
  config::v1::Tls tls = config.tls();
  if (config.development().enabled()) {
    CMK_ASSIGN_OR_RETURN(
        const DevCredentials minted,
        MintDevCredentials(config.data_dir(), config.development().tenant(), clock));
    options.standing_issuers.push_back(minted.issuer);
    tls.set_certificate_file(minted.directory + "/server.pem");
    tls.set_key_file(minted.directory + "/server.key");
    tls.set_client_ca_file(minted.directory + "/ca.pem");
  }
  std::shared_ptr<grpc::ServerCredentials> credentials = grpc::InsecureServerCredentials();
  if (!config.development().plaintext()) {
    absl::StatusOr<std::unique_ptr<TlsFiles>> files =
        TlsFiles::Open({tls.certificate_file(), tls.key_file(), tls.client_ca_file()});
    if (!files.ok()) {
      return ToStatus(loaded, {{"tls", std::string(files.status().message())}});
    }
    options.tls_files = *std::move(files);
    options.tls_reload_interval = ToAbsl(tls.reload_interval());
    options.certificates.push_back({"server", tls.certificate_file()});
    options.certificates.push_back({"client_ca", tls.client_ca_file()});
    credentials = WatchedTls(options.tls_files->shown());
  }
  for (const config::v1::Listener& listener : config.listeners()) {
    options.listeners.push_back({listener.address(), credentials});
  }
  for (int i = 0; i < config.identities_size(); ++i) {
    const config::v1::Identity& identity = config.identities(i);
    const vault::IdentityOptions complete =
        vault::WithPodEnvironment(ToIdentityOptions(identity), FromEnvironment);
    CMK_RETURN_IF_ERROR(ToStatus(loaded, IdentityProblems(i, vault::CheckIdentity(complete))));
    options.identities.emplace_back(identity.name(), complete);
    if (identity.kind() == "client-certificate") {
      options.certificates.push_back({"vault_login", identity.certificate_file()});
    }
  }
  options.vault_ca_file = config.vaults().ca_file();
  if (!options.vault_ca_file.empty()) {
    options.certificates.push_back({"vault_ca", options.vault_ca_file});
  }
  options.vault_addresses.domains.clear();
  for (const std::string& text : config.vaults().allowed_suffixes()) {
    options.vault_addresses.domains.push_back(vault::VaultDomainFrom(text));
  }
  options.vault_addresses.allowed_hosts.assign(config.development().vault_hosts().begin(),
                                               config.development().vault_hosts().end());
  for (const config::v1::SharedDirectory& shared : config.vaults().shared_directories()) {
    std::set<std::string>& tenants =
        options.shared_vault_directories[absl::AsciiStrToLower(shared.directory())];
    for (const std::string& tenant : shared.tenants()) {
      tenants.insert(absl::AsciiStrToLower(tenant));
    }
  }
  if (config.admin().address() != "off") options.admin_address = config.admin().address();
  options.min_free_disk_bytes = config.store().min_free_disk();
  options.operator_tenant = config.operator_tenant();
  if (options.operator_tenant.empty() && config.development().enabled()) {
    options.operator_tenant = config.development().tenant();
  }
  options.backup = ToBackupOptions(config.backup());
  options.scrub.interval = ToAbsl(config.integrity().scrub_interval());
  options.scrub.bytes_per_second = config.integrity().scrub_bandwidth();
  SetStore(config.store(), options.shards);
  SetRequests(config.requests(), options.rpc);
  options.keys = ToKeyCacheOptions(config.keys());
  options.quotas = ToQuotaOptions(config.quotas());
  options.usage.flush_interval = ToAbsl(config.usage().flush_interval());
  options.usage.retention = ToAbsl(config.usage().retention());
  options.purge.usage_retention = ToAbsl(config.usage().purged_retention());
  options.indexes.max_open = config.search().max_open_indexes();
  options.indexes.index.cache_bytes = static_cast<int64_t>(config.search().index_cache());
  options.follower.refresh = ToAbsl(config.search().refresh());
  return options;
}

void ApplyLogLevel(const config::v1::Log& log) {
  static constexpr std::pair<absl::string_view, LogLevel> kLevels[] = {
      {"trace", LogLevel::kTrace},
      {"debug", LogLevel::kDebug},
      {"info", LogLevel::kInfo},
      {"warning", LogLevel::kWarning},
      {"error", LogLevel::kError}};
  for (const auto& [name, level] : kLevels) {
    if (log.level() == name) SetLogLevel(level);
  }
}

}  // namespace cmkstore::service
