#include "service/config/config_rules.h"

#include <algorithm>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/errors.h"
#include "base/ids.h"
#include "service/timestamps.h"
#include "vault/vault_uri.h"

namespace cmkstore::service {
namespace {

using Problems = std::vector<ConfigProblem>;

bool IsAddress(absl::string_view address) {
  if (absl::StartsWith(address, "unix:")) return address.size() > 5;
  const size_t colon = address.rfind(':');
  uint32_t port = 0;
  return colon != absl::string_view::npos && colon > 0 &&
         absl::SimpleAtoi(address.substr(colon + 1), &port) && port <= 65535;
}

// Split at the last colon: an IPv6 host is in brackets.
std::pair<std::string, std::string> HostAndPort(const std::string& address) {
  const size_t colon = std::min(address.rfind(':'), address.size());
  return {address.substr(0, colon), address.substr(std::min(colon + 1, address.size()))};
}

bool IsLoopback(absl::string_view address) {
  return absl::StartsWith(address, "127.") || absl::StartsWith(address, "localhost:") ||
         absl::StartsWith(address, "[::1]:") || absl::StartsWith(address, "unix:");
}

// Whether one cannot listen while the other does. The system gives port 0 a port of its own.
bool Collide(const std::string& one, const std::string& other) {
  if (one == other) return !absl::EndsWith(one, ":0");
  const auto [host, port] = HostAndPort(one);
  const auto [other_host, other_port] = HostAndPort(other);
  const auto is_any = [](absl::string_view name) { return name == "0.0.0.0" || name == "[::]"; };
  return port == other_port && port != "0" && (is_any(host) || is_any(other_host));
}

void CheckAddresses(const config::v1::Config& config, Problems& problems) {
  for (int i = 0; i < config.listeners_size(); ++i) {
    const std::string& address = config.listeners(i).address();
    const std::string path = absl::StrCat("listeners[", i, "].address");
    if (!IsAddress(address)) {
      problems.push_back({path, "write HOST:PORT, such as 0.0.0.0:7443, or unix:PATH"});
    } else if (config.development().enabled() && !IsLoopback(address)) {
      problems.push_back(
          {path, "development.enabled listens on loopback only; write 127.0.0.1:PORT"});
    }
    for (int before = 0; before < i; ++before) {
      if (!Collide(address, config.listeners(before).address())) continue;
      problems.push_back({path, absl::StrCat("listeners[", before,
                                             "] takes this address; write "
                                             "another, or remove one of them")});
    }
  }
  const std::string& admin = config.admin().address();
  if (admin != "off" && (!IsAddress(admin) || absl::StartsWith(admin, "unix:"))) {
    problems.push_back({"admin.address", "write HOST:PORT, such as 127.0.0.1:9464, or off"});
  }
  for (int i = 0; i < config.listeners_size(); ++i) {
    if (!Collide(admin, config.listeners(i).address())) continue;
    problems.push_back({"admin.address", absl::StrCat("listeners[", i,
                                                      "] takes this address; write "
                                                      "another port, or off")});
  }
}

void CheckWorkloads(const config::v1::Issuer& issuer, const std::string& path, Problems& problems) {
  if (!issuer.workloads().empty() && absl::StrContains(issuer.issuer(), "{tid}")) {
    problems.push_back(
        {path + ".workloads",
         "they are for an issuer whose tokens name no tenant; write its exact `iss`"});
  }
  std::set<std::string> seen;
  for (int i = 0; i < issuer.workloads_size(); ++i) {
    const config::v1::Workload& workload = issuer.workloads(i);
    const std::string at = absl::StrCat(path, ".workloads[", i, "]");
    if (workload.subject().empty()) {
      problems.push_back({at, "write subject: with the exact `sub` of its tokens"});
    } else if (!seen.insert(workload.subject()).second) {
      problems.push_back({at + ".subject", "it is given twice; keep one"});
    }
    if (!IsValidId(workload.tenant())) {
      problems.push_back({at, "write tenant: with the id of the tenant that it calls as"});
    }
    if (workload.roles().empty()) {
      problems.push_back({at, "write roles: with what it may do, such as [cmkstore.operator]"});
    }
  }
}

void CheckIssuers(const config::v1::Config& config, Problems& problems) {
  if (config.issuers().empty() && !config.development().enabled()) {
    problems.push_back({"issuers",
                        "nobody could call; write one entry with issuer and jwks_file, or set "
                        "development.enabled"});
  }
  std::set<std::string> seen;
  for (int i = 0; i < config.issuers_size(); ++i) {
    const config::v1::Issuer& issuer = config.issuers(i);
    const std::string path = absl::StrCat("issuers[", i, "]");
    if (issuer.issuer().empty()) {
      problems.push_back({path, "write issuer: with the exact `iss` of its tokens"});
    } else if (!seen.insert(issuer.issuer()).second) {
      problems.push_back({path + ".issuer", "it is given twice; keep one"});
    }
    if (issuer.jwks_file().empty() && issuer.jwks_url().empty()) {
      problems.push_back({path, "write jwks_file: with the issuer's key set, or jwks_url:"});
    }
    if (!issuer.jwks_file().empty() && !issuer.jwks_url().empty()) {
      problems.push_back({path, "it has jwks_file and jwks_url; keep one"});
    }
    if (!issuer.jwks_url().empty() && !absl::StartsWith(issuer.jwks_url(), "https://")) {
      problems.push_back({path + ".jwks_url", "it must begin with https://"});
    }
    CheckWorkloads(issuer, path, problems);
  }
}

void CheckIdentities(const config::v1::Config& config, Problems& problems) {
  std::set<std::string> seen;
  for (int i = 0; i < config.identities_size(); ++i) {
    const config::v1::Identity& identity = config.identities(i);
    const std::string path = absl::StrCat("identities[", i, "]");
    if (!seen.insert(identity.name()).second) {
      problems.push_back({path + ".name", "another identity has this name; write another"});
    }
    const auto refuse = [&](bool given, absl::string_view option) {
      if (given) {
        problems.push_back({absl::StrCat(path, ".", option),
                            absl::StrCat("kind ", identity.kind(), " has none; remove it")});
      }
    };
    refuse(identity.kind() == "managed-identity" && !identity.tenant_id().empty(), "tenant_id");
    refuse(identity.kind() != "client-certificate" && !identity.certificate_file().empty(),
           "certificate_file");
    refuse(identity.kind() != "client-secret" && !identity.secret_file().empty(), "secret_file");
    refuse(identity.kind() != "workload-identity" && !identity.token_file().empty(), "token_file");
    // What a workload identity lacks it may find in its pod: only a start can tell.
    const vault::IdentityOptions options = ToIdentityOptions(identity);
    const absl::Status checked = options.kind == vault::IdentityOptions::Kind::kWorkloadIdentity
                                     ? vault::CheckGivenOfIdentity(options)
                                     : vault::CheckIdentity(options);
    for (const ConfigProblem& one : IdentityProblems(i, checked)) problems.push_back(one);
  }
}

// A development server makes files of its own, and would pass over those that are named.
void CheckNoTlsFiles(const config::v1::Tls& tls, Problems& problems) {
  const config::v1::Tls usual = DefaultConfig().tls();
  const auto refuse = [&](const char* option, bool is_usual) {
    if (is_usual) return;
    problems.push_back(
        {option, "development.enabled serves with files of its own; remove it, or that one"});
  };
  refuse("tls.certificate_file", tls.certificate_file() == usual.certificate_file());
  refuse("tls.key_file", tls.key_file() == usual.key_file());
  refuse("tls.client_ca_file", tls.client_ca_file() == usual.client_ca_file());
}

void CheckVaultsAndDevelopment(const config::v1::Config& config, Problems& problems) {
  for (int i = 0; i < config.vaults().allowed_suffixes_size(); ++i) {
    const std::string& suffix = config.vaults().allowed_suffixes(i);
    const absl::Status checked = vault::CheckVaultDomain(vault::VaultDomainFrom(suffix));
    for (const Violation& one : ViolationsOf(checked)) {
      problems.push_back({absl::StrCat("vaults.allowed_suffixes[", i, "]"), one.description});
    }
  }
  for (int i = 0; i < config.vaults().shared_directories_size(); ++i) {
    const config::v1::SharedDirectory& shared = config.vaults().shared_directories(i);
    const std::string path = absl::StrCat("vaults.shared_directories[", i, "]");
    if (!IsGuid(shared.directory())) {
      problems.push_back({path, "write directory: with the GUID of the vaults' Entra tenant"});
    }
    if (shared.tenants().empty()) {
      problems.push_back({path, "write tenants: with those that may name its vaults, or ['*']"});
    }
    for (const std::string& tenant : shared.tenants()) {
      if (tenant == "*" || IsValidId(tenant)) continue;
      problems.push_back({path + ".tenants", "write the `tid` of a tenant's tokens, or '*'"});
    }
  }
  if (config.development().enabled()) CheckNoTlsFiles(config.tls(), problems);
  if (!config.development().enabled() && config.development().plaintext()) {
    problems.push_back({"development.plaintext", "it goes with development.enabled: true only"});
  }
  if (!config.development().enabled() && config.development().vault_hosts_size() > 0) {
    problems.push_back({"development.vault_hosts",
                        "local vaults go with development.enabled: true; set it or remove them"});
  }
}

void CheckBackup(const config::v1::Config& config, Problems& problems) {
  const config::v1::Backup& backup = config.backup();
  const std::string inside = config.data_dir() + "/";
  if (backup.directory().empty() && !backup.receipts_directory().empty()) {
    problems.push_back(
        {"backup.receipts_directory", "it goes with backup.directory; write that too"});
  }
  if (!backup.directory().empty() && absl::StartsWith(backup.directory() + "/", inside)) {
    problems.push_back(
        {"backup.directory",
         "it lies in data_dir and would be lost with it; write one on another disk"});
  }
  if (absl::StartsWith(backup.receipts_directory() + "/", inside)) {
    problems.push_back(
        {"backup.receipts_directory",
         "it lies in data_dir and would be lost with it; write one on another disk"});
  }
  const std::string backups = backup.directory() + "/backups/";
  const std::string files = backup.directory() + "/files/";
  for (const std::string& within : {backups, files}) {
    if (!backup.directory().empty() &&
        absl::StartsWith(backup.receipts_directory() + "/", within)) {
      problems.push_back({"backup.receipts_directory", "it must lie apart from the backups"});
    }
  }
}

void CheckQuotas(const config::v1::Quotas& quotas, Problems& problems) {
  if (quotas.burst() > 0 && quotas.requests_per_second() == 0 && quotas.tenants().empty()) {
    problems.push_back({"quotas.burst", "it goes with quotas.requests_per_second; write that too"});
  }
  std::set<std::string> seen;
  for (int i = 0; i < quotas.tenants_size(); ++i) {
    const config::v1::TenantQuota& one = quotas.tenants(i);
    const std::string path = absl::StrCat("quotas.tenants[", i, "]");
    if (!IsValidId(one.tenant())) {
      problems.push_back({path, "write tenant: with the `tid` of the tenant's tokens"});
    } else if (!seen.insert(one.tenant()).second) {
      problems.push_back({path + ".tenant", "it is given twice; keep one"});
    }
    const bool limited = one.has_requests_per_second() ? one.requests_per_second() > 0
                                                       : quotas.requests_per_second() > 0;
    if (one.burst() > 0 && !limited) {
      problems.push_back({path + ".burst", "it goes with requests_per_second; write that too"});
    }
  }
}

}  // namespace

vault::IdentityOptions ToIdentityOptions(const config::v1::Identity& identity) {
  using Kind = vault::IdentityOptions::Kind;
  vault::IdentityOptions options;
  options.kind = identity.kind() == "client-secret"        ? Kind::kClientSecret
                 : identity.kind() == "client-certificate" ? Kind::kClientCertificate
                 : identity.kind() == "workload-identity"  ? Kind::kWorkloadIdentity
                                                           : Kind::kManagedIdentity;
  options.authority = identity.authority();
  options.tenant_id = identity.tenant_id();
  options.client_id = identity.client_id();
  options.secret_file = identity.secret_file();
  options.token_file = identity.token_file();
  options.certificate_file = identity.certificate_file();
  options.imds_url = identity.imds_url();
  return options;
}

keycache::KeyCacheOptions ToKeyCacheOptions(const config::v1::Keys& keys) {
  keycache::KeyCacheOptions options;
  options.entry_lifetime = ToAbsl(keys.entry_lifetime());
  options.probe_interval = ToAbsl(keys.probe_interval());
  options.probe_jitter = keys.probe_jitter();
  options.unhealthy_probe_interval = ToAbsl(keys.unhealthy_probe_interval());
  options.confirm_delay = ToAbsl(keys.confirm_delay());
  options.negative_lifetime = ToAbsl(keys.negative_lifetime());
  options.vault_call_timeout = ToAbsl(keys.vault_call_timeout());
  options.max_hubs = keys.max_hubs();
  options.max_older_keys_per_hub = keys.max_older_keys_per_hub();
  options.max_waiters_per_key = keys.max_waiters_per_key();
  options.max_calls = keys.max_calls();
  options.max_calls_per_vault = keys.max_calls_per_vault();
  return options;
}

std::vector<ConfigProblem> IdentityProblems(int index, const absl::Status& checked) {
  Problems problems;
  for (const Violation& one : ViolationsOf(checked)) {
    const absl::string_view option = absl::StripPrefix(one.subject, "identity.");
    problems.push_back({absl::StrCat("identities[", index, "].", option), one.description});
  }
  return problems;
}

std::vector<ConfigProblem> CheckRules(const config::v1::Config& config) {
  Problems problems;
  if (config.data_dir().empty()) {
    problems.push_back({"data_dir", "write a directory, such as /var/lib/cmkstore"});
  }
  if (config.has_operator_tenant() && !IsValidId(config.operator_tenant())) {
    problems.push_back(
        {"operator_tenant", "write the `tid` of the tenant's tokens, or leave the option out"});
  }
  CheckAddresses(config, problems);
  CheckIssuers(config, problems);
  CheckIdentities(config, problems);
  CheckVaultsAndDevelopment(config, problems);
  CheckBackup(config, problems);
  CheckQuotas(config.quotas(), problems);
  for (const Violation& one : ViolationsOf(ToKeyCacheOptions(config.keys()).Validate())) {
    problems.push_back({one.subject, one.description});
  }
  return problems;
}

}  // namespace cmkstore::service
