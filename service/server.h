#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/clock.h"
#include "keycache/key_cache_options.h"
#include "search/index_follower.h"
#include "search/index_set.h"
#include "service/authenticator.h"
#include "service/backup/backup_options.h"
#include "service/key_checks.h"
#include "service/metrics.h"
#include "service/purge_hubs.h"
#include "service/quota_limits.h"
#include "service/rpc_server.h"
#include "service/tls_files.h"
#include "service/usage_meter.h"
#include "store/rocksdb/shard_set.h"
#include "vault/token_source.h"
#include "vault/vault_uri.h"

namespace cmkstore::service {

// All that decides how a server runs.
struct ServerOptions {
  std::string data_dir;
  store::ShardSetOptions shards;  // directory is set from data_dir
  keycache::KeyCacheOptions keys;
  search::IndexSetOptions indexes;  // directory is set from data_dir
  search::IndexFollowerOptions follower;
  RpcServerOptions rpc;
  std::vector<RpcListener> listeners;
  std::vector<IssuerOptions> issuers;
  std::string issuer_ca_file;                   // PEM, for jwks_url; empty: the system's
  std::vector<IssuerOptions> standing_issuers;  // beside them, whatever SetIssuers brings
  // What the listeners' credentials show of, looked at again now and then; null without TLS.
  std::shared_ptr<TlsFiles> tls_files;
  absl::Duration tls_reload_interval = absl::Seconds(10);
  vault::VaultAddressPolicy vault_addresses;
  std::map<std::string, std::set<std::string>> shared_vault_directories;  // VaultDirectoryOptions
  KeyChecksOptions key_checks;
  std::string vault_ca_file;
  UsageMeterOptions usage;
  QuotaOptions quotas;
  PurgeOptions purge;
  std::string admin_address;                  // HOST:PORT of the admin port; empty: none
  uint64_t min_free_disk_bytes = 0;           // below, the server is not ready
  std::vector<CertificateFile> certificates;  // whose ends are shown
  std::string operator_tenant;  // whose operators may call AdminService; empty: nobody's
  BackupOptions backup;
  ScrubOptions scrub;
  std::vector<std::pair<std::string, vault::IdentityOptions>> identities;  // by name; "" = default
};

// The composition root: owns every part, in the order in which they depend on each other.
class Server {
 public:
  // Opens the store and serves. Never calls a vault. A start that fails shuts down what it has
  // begun. Errors: those of ShardSet::Open, RpcServer::Start and of the options. `clock` must
  // outlive this.
  static absl::StatusOr<std::unique_ptr<Server>> Start(ServerOptions options, Clock& clock);
  ~Server();

  std::shared_ptr<grpc::Channel> InProcessChannel();
  int port() const;        // of the first listener
  int admin_port() const;  // 0: none
  // Replaces the issuers of callers' tokens. Thread-safe. Errors: FIELD_INVALID, and then nothing
  // has changed.
  absl::Status SetIssuers(std::vector<IssuerOptions> issuers);
  // Replaces the tenants' quotas. Thread-safe.
  void SetQuotas(const QuotaOptions& quotas);
  // Shown by metrics.
  ConfigPending& config_pending();
  // Says `not ready` everywhere, and goes on serving.
  void StopBeingReady();
  // Refuses new calls and lets those in flight end within `grace`.
  void Shutdown(absl::Duration grace);

 private:
  class Parts;
  explicit Server(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace cmkstore::service
