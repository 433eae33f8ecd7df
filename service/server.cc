#include "service/server.h"

#include <thread>
#include <utility>

#include "absl/strings/str_join.h"
#include "base/curl_transport.h"
#include "base/log.h"
#include "base/private_directory.h"
#include "base/process_stats.h"
#include "base/status_macros.h"
#include "crypto/random.h"
#include "keycache/key_cache.h"
#include "search/index_follower.h"
#include "search/index_set.h"
#include "service/admin_methods.h"
#include "service/admin_server.h"
#include "service/backup/scrubber.h"
#include "service/change_signal.h"
#include "service/encryption_coverage.h"
#include "service/health.h"
#include "service/hub_key_changes.h"
#include "service/hub_key_source.h"
#include "service/index_source.h"
#include "service/key_change_recovery.h"
#include "service/key_expiry_watch.h"
#include "service/key_version_follower.h"
#include "service/lock_receipts.h"
#include "service/manage_backups.h"
#include "service/manage_hubs.h"
#include "service/manage_keys.h"
#include "service/manage_projects.h"
#include "service/methods.h"
#include "service/metrics.h"
#include "service/network_policy.h"
#include "service/operations.h"
#include "service/purge_hubs.h"
#include "service/read_documents.h"
#include "service/request_quota.h"
#include "service/search_documents.h"
#include "service/status_report.h"
#include "service/storage_quota.h"
#include "service/store_record.h"
#include "service/unreadable_rows.h"
#include "service/watch_documents.h"
#include "service/write_documents.h"
#include "vault/azure_key_vault.h"
#include "vault/bounded_key_vault.h"
#include "vault/call_budget.h"
#include "vault/following_key_vault.h"
#include "vault/platform_key_vault.h"
#include "vault/retrying_key_vault.h"
#include "vault/timed_key_vault.h"
#include "vault/vault_meter.h"

namespace cmkstore::service {
namespace {

constexpr absl::Duration kTick = absl::Milliseconds(100);
constexpr absl::Duration kLook = absl::Seconds(1);  // at shards and disk

}  // namespace

// In the order of construction; destroyed in reverse.
class Server::Parts {
 public:
  Parts(ServerOptions given, Clock& system_clock)
      : options(std::move(given)),
        clock(system_clock),
        transport(CurlTransportOptions{.ca_file = options.vault_ca_file, .connect_to = {}}),
        issuer_transport(CurlTransportOptions{.ca_file = options.issuer_ca_file, .connect_to = {}}),
        identities(clock),
        azure(options.vault_addresses, transport, identities, clock, random),
        budget(clock),
        meter(clock),
        timed(azure, clock),
        metered(timed, meter),
        following(metered, budget, clock,
                  [this](const auto& key, const auto& id) { key_versions->OnLatest(key, id); }),
        bounded(keycache::BoundsForPeople(options.keys), metered, budget, clock),
        retrying(bounded, clock),
        vault_directory({.shared = options.shared_vault_directories,
                         .call_timeout = options.keys.vault_call_timeout},
                        options.vault_addresses, transport, budget, meter, clock, random),
        health(options.min_free_disk_bytes, clock),
        request_quota(clock) {}

  absl::Status Start();
  void Tick();
  void UpdateHealth();
  void LookAtTlsFiles();
  void PublishStatus();
  void SetQuotas(const QuotaOptions& quotas) {
    request_quota.Set(quotas);
    storage_quota->Set(quotas);
  }
  std::vector<IssuerOptions> AllIssuers(std::vector<IssuerOptions> issuers) const {
    issuers.insert(issuers.end(), options.standing_issuers.begin(), options.standing_issuers.end());
    return issuers;
  }

  ServerOptions options;
  Clock& clock;
  crypto::SystemRandom random;
  CurlTransport transport;         // to vaults and to the directory that our identities are of
  CurlTransport issuer_transport;  // to issuers of callers' tokens
  vault::IdentitySet identities;
  vault::AzureKeyVault azure;
  vault::CallBudget budget;
  vault::VaultMeter meter;
  vault::TimedKeyVault timed;
  vault::MeteredKeyVault metered;
  vault::FollowingKeyVault following;  // for the cache
  vault::BoundedKeyVault bounded;      // for what a person waits for; the cache has its lanes
  vault::RetryingKeyVault retrying;
  vault::VaultDirectory vault_directory;
  Health health;
  RequestQuota request_quota;
  ConfigPending config_pending;
  std::unique_ptr<AdminServer> admin;
  std::unique_ptr<vault::PlatformKeyVault> platform;
  std::unique_ptr<vault::RoutingKeyVault> vault, cache_vault, check_vault;
  ChangeSignal signal, indexed;  // of commits and locks; of what the indexes have applied
  std::unique_ptr<LockReceipts> receipts;
  std::unique_ptr<store::ShardSet> engine;
  std::unique_ptr<StorageQuota> storage_quota;
  std::unique_ptr<UsageMeter> hub_usage;
  std::unique_ptr<HubDirectory> directory;
  std::unique_ptr<HubKeySource> key_source;
  std::unique_ptr<keycache::KeyCache> keys;
  std::unique_ptr<HubAccess> hubs;
  BackupStats backup_stats;
  UnreadableRows unreadable{backup_stats.integrity_errors};
  std::unique_ptr<IndexSource> index_source;
  std::unique_ptr<search::IndexSet> indexes;
  std::unique_ptr<search::IndexFollower> follower;
  Worker search_worker{SearchWorkerOptions()};
  std::unique_ptr<PageTokens> tokens;
  std::unique_ptr<KeyChecks> checks;
  std::unique_ptr<HubKeyChanges> key_changes;
  std::unique_ptr<KeyVersionFollower> key_versions;
  std::unique_ptr<Operations> operations;
  std::unique_ptr<ManageBackups> backups;
  std::unique_ptr<Scrubber> scrubber;
  std::unique_ptr<ManageHubs> manage_hubs;
  std::unique_ptr<PurgeHubs> purges;
  std::unique_ptr<KeyExpiryWatch> expiries;
  std::unique_ptr<ManageProjects> manage_projects;
  std::unique_ptr<ManageKeys> manage_keys;
  std::unique_ptr<VaultUsageReport> usage;
  std::unique_ptr<EncryptionCoverageReport> coverage;
  std::unique_ptr<UsageReport> usage_report;
  std::unique_ptr<ReadDocuments> reads;
  std::unique_ptr<WriteDocuments> writes;
  std::unique_ptr<WatchDocuments> watches;
  std::unique_ptr<SearchDocuments> searches;
  std::unique_ptr<Authenticator> authenticator;
  std::unique_ptr<NetworkPolicy> network;
  std::unique_ptr<RequestGate> gate;
  std::unique_ptr<RpcServer> rpc;
  std::unique_ptr<StatusSources> status;
  std::atomic<bool> stopping{false}, only_keys{false}, stopped{false};
  absl::Time next_tls_look = absl::InfinitePast();  // of the ticker
  std::string tls_problem;  // the last one that was logged; empty when there is none
  std::thread ticker;
};

absl::Status Server::Parts::Start() {
  CMK_RETURN_IF_ERROR(MakePrivateDirectory(options.data_dir));
  if (!options.admin_address.empty()) {
    CMK_ASSIGN_OR_RETURN(admin, AdminServer::Start(options.admin_address, health));
  }
  for (auto& [name, identity] : options.identities) {
    CMK_RETURN_IF_ERROR(vault::CheckIdentity(identity));
    identities.Add(name, vault::MakeTokenSource(identity, transport, clock, random));
    options.key_checks.identities[name] = identity.client_id;
  }
  options.shards.directory = options.data_dir + "/shards";
  CMK_ASSIGN_OR_RETURN(engine, store::ShardSet::Open(options.shards));
  CMK_ASSIGN_OR_RETURN(const storage::v1::StoreRecord facts, LoadStoreRecord(*engine, random));
  CMK_RETURN_IF_ERROR(FinishKeyChanges(*engine));
  const std::string platform_key = options.data_dir + "/platform.key";
  CMK_RETURN_IF_ERROR(CheckPlatformKeyFile(*engine, platform_key));
  CMK_ASSIGN_OR_RETURN(platform, vault::PlatformKeyVault::Open(platform_key));
  vault = std::make_unique<vault::RoutingKeyVault>(*platform, retrying);
  cache_vault = std::make_unique<vault::RoutingKeyVault>(*platform, following);
  check_vault = std::make_unique<vault::RoutingKeyVault>(*platform, bounded);
  storage_quota = std::make_unique<StorageQuota>(*engine, clock);
  CMK_RETURN_IF_ERROR(storage_quota->Load());
  SetQuotas(options.quotas);
  hub_usage = std::make_unique<UsageMeter>(options.usage, *engine, clock, [this](HubUid hub) {
    return indexes == nullptr ? 0 : indexes->FileBytes(hub);
  });
  directory = std::make_unique<HubDirectory>(*engine, *hub_usage);
  receipts = std::make_unique<LockReceipts>(
      *engine, clock,
      LockReceipts::Actions{.name_of = [this](HubUid hub) { return directory->NameOf(hub); },
                            .close_index = [this](HubUid hub) { return indexes->Close(hub); },
                            .follow_again = [this](HubUid hub) { follower->Notify(hub, 0); },
                            .look_at_index = [this](HubUid hub) { follower->LookAt(hub); },
                            .rest_index = [this](HubUid hub) { follower->Rest(hub); },
                            .wake_streams = [this](HubUid hub) { signal.Notify(hub); },
                            .count_unwrap = [this](HubUid hub) { hubs->CountUnwrap(hub); }});
  key_source = std::make_unique<HubKeySource>(*directory, *engine, *receipts);
  CMK_ASSIGN_OR_RETURN(keys, keycache::KeyCache::Create(options.keys, *key_source, *cache_vault,
                                                        budget, clock, random, *receipts));
  hubs = std::make_unique<HubAccess>(*directory, *keys);
  index_source = std::make_unique<IndexSource>(*hubs, *engine, unreadable, clock);
  options.indexes.directory = options.data_dir + "/indexes";
  CMK_ASSIGN_OR_RETURN(indexes, search::IndexSet::Create(options.indexes, *index_source));
  follower =
      std::make_unique<search::IndexFollower>(options.follower, *indexes, *index_source, clock,
                                              [this](HubUid hub) { indexed.Notify(hub); });
  tokens = std::make_unique<PageTokens>(facts.token_key());
  checks = std::make_unique<KeyChecks>(options.key_checks, *check_vault, vault_directory,
                                       options.vault_addresses, random, clock);
  key_changes = std::make_unique<HubKeyChanges>(*hubs, *key_source, *engine, *vault, random, clock);
  key_versions = std::make_unique<KeyVersionFollower>(*hubs, *key_changes, *key_source, *engine,
                                                      *vault, clock);
  operations = std::make_unique<Operations>(*hubs, *engine, random, clock, *tokens);
  const auto provision_restored = [this](const HubEntry& hub) {
    directory->Remember(hub);  // nobody has asked for it by its name yet
    follower->Notify(hub.uid, 0);
  };
  backups = std::make_unique<ManageBackups>(
      *engine, options.backup, options.data_dir, *storage_quota, *operations, backup_stats, clock,
      *tokens, ManageBackups::Indexes{*indexes, provision_restored});
  manage_hubs = std::make_unique<ManageHubs>(
      *hubs, *engine, *vault, *checks, *key_changes, *receipts, random, clock, *tokens,
      IndexLife{[this](HubUid hub) { follower->Notify(hub, 0); },
                [this](HubUid hub) { indexes->Close(hub); }});
  purges = std::make_unique<PurgeHubs>(
      options.purge, *hubs, *manage_hubs, *engine, *storage_quota, clock,
      [this](HubUid hub) { follower->Destroy(hub); },
      [this](const storage::v1::HubRecord& purged) { return backups->KeepReceipt(purged); });
  expiries = std::make_unique<KeyExpiryWatch>(
      *engine, bounded, clock,
      [this](const auto& key, const auto& id) { key_versions->OnLatest(key, id); });
  const auto committed = [this](HubUid hub, store::Sequence sequence) {
    signal.Notify(hub);
    follower->Notify(hub, sequence);
  };
  manage_projects = std::make_unique<ManageProjects>(*hubs, *engine, *storage_quota, *operations,
                                                     random, clock, *tokens, committed);
  manage_keys = std::make_unique<ManageKeys>(*hubs, *manage_hubs, *checks, *key_changes,
                                             *operations, *key_source, *receipts, meter, clock);
  usage = std::make_unique<VaultUsageReport>(*hubs, *key_source, meter, clock);
  coverage = std::make_unique<EncryptionCoverageReport>(*hubs, *manage_hubs, *key_source, clock);
  usage_report = std::make_unique<UsageReport>(*hubs, *engine, *hub_usage, clock, *tokens);
  reads = std::make_unique<ReadDocuments>(*hubs, *engine, unreadable, *tokens);
  writes =
      std::make_unique<WriteDocuments>(*hubs, *engine, *storage_quota, random, clock, committed);
  watches = std::make_unique<WatchDocuments>(*hubs, *reads, *engine, unreadable, signal, clock);
  searches =
      std::make_unique<SearchDocuments>(*hubs, *engine, *indexes, *follower, indexed, *operations,
                                        unreadable, search_worker, clock, *tokens);
  CMK_ASSIGN_OR_RETURN(authenticator,
                       Authenticator::Create(AllIssuers(options.issuers), issuer_transport, clock));
  network = std::make_unique<NetworkPolicy>(*directory);
  gate = std::make_unique<RequestGate>(*authenticator, request_quota, *network, clock, random);
  rpc = std::make_unique<RpcServer>(options.rpc, *gate);
  AddMethods(*rpc, *manage_hubs, *manage_projects, *manage_keys, *reads, *writes, *watches,
             *searches, *usage, *coverage, *usage_report);
  AddAdminMethods(*rpc, *backups, options.operator_tenant);
  AddOperationMethods(*rpc, *operations, options.operator_tenant);
  rpc->OnControlCall([this](const absl::StatusOr<ResourceScope>& scope) {
    if (!scope.ok() || !scope->hub.has_value()) return;
    const auto hub = directory->Find(scope->tenant, *scope->hub);
    if (hub.ok()) (*hub)->usage->Count(store::UsageCounter::kControlCalls);
  });
  rpc->OnDrain([this] {
    signal.WakeAll();
    indexed.WakeAll();
  });
  CMK_RETURN_IF_ERROR(operations->ResumeAll());
  scrubber = std::make_unique<Scrubber>(options.scrub, *engine, backup_stats, clock);
  CMK_RETURN_IF_ERROR(rpc->Start(options.listeners));
  health.Started();
  UpdateHealth();
  rpc->SetServing(health.Ready().ok);
  PublishStatus();
  ticker = std::thread([this] { Tick(); });
  return absl::OkStatus();
}

void Server::Parts::UpdateHealth() {
  const HealthFacts facts{engine->shard_count(), engine->NudgeStopped(),
                          FreeDiskBytes(options.data_dir), rpc->QueueSilence(clock.MonotonicNow())};
  if (!health.Report(facts)) return;
  const bool ready = health.Ready().ok;
  rpc->SetServing(ready);
  Log(ready ? LogLevel::kInfo : LogLevel::kError, ready ? "ready" : "not_ready",
      {{"why", absl::StrJoin(health.Ready().lines, "; ")}});
}

void Server::Parts::LookAtTlsFiles() {
  if (options.tls_files == nullptr || clock.MonotonicNow() < next_tls_look) return;
  next_tls_look = clock.MonotonicNow() + options.tls_reload_interval;
  const absl::StatusOr<bool> changed = options.tls_files->Poll();
  const std::string problem(changed.status().message());
  if (std::exchange(tls_problem, problem) != problem && !changed.ok()) {
    Log(LogLevel::kError, "tls_files_not_reloaded", {{"problem", tls_problem}});
  }
  config_pending.tls_refused = !changed.ok();
  if (changed.ok() && *changed) Log(LogLevel::kInfo, "tls_files_reloaded");
}

void Server::Parts::PublishStatus() {
  // clang-format off
  status.reset(new StatusSources{
      health, *rpc, timed, meter, *engine, *keys, *indexes, *follower, *operations, backup_stats,
      *expiries, *key_versions, *purges, request_quota, *storage_quota, clock, options.data_dir,
      clock.MonotonicNow(), options.min_free_disk_bytes, options.certificates, config_pending,
      !options.backup.directory.empty()});
  // clang-format on
  if (admin == nullptr) return;
  admin->Publish(
      {[this] { return RenderMetrics(*status); }, [this] { return StatusReport(*status); }});
}

void Server::Parts::Tick() {
  absl::Time next_look = clock.MonotonicNow();
  while (!stopping) {
    keys->Tick();
    receipts->Tick();
    follower->Tick();
    operations->Tick();
    manage_hubs->Tick();
    purges->Tick();
    hub_usage->Tick();
    expiries->Tick();
    authenticator->Tick();
    signal.ExpireBefore(clock.WallNow());
    indexed.ExpireBefore(clock.WallNow());
    if (clock.MonotonicNow() >= next_look) {
      UpdateHealth();
      LookAtTlsFiles();
      next_look = clock.MonotonicNow() + kLook;
    }
    clock.Sleep(kTick);
  }
  only_keys = true;
  only_keys.notify_all();
  for (; !stopped; clock.Sleep(kTick)) keys->Tick();  // what stops may wait for a key until then
}

absl::StatusOr<std::unique_ptr<Server>> Server::Start(ServerOptions options, Clock& clock) {
  std::unique_ptr<Server> server(new Server(std::make_unique<Parts>(std::move(options), clock)));
  CMK_RETURN_IF_ERROR(server->parts_->Start());
  return server;
}

Server::Server(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}

Server::~Server() { Shutdown(absl::ZeroDuration()); }

std::shared_ptr<grpc::Channel> Server::InProcessChannel() {
  return parts_->rpc->InProcessChannel();
}

int Server::port() const {
  return parts_->options.listeners.empty() ? 0 : parts_->options.listeners.front().bound_port;
}

int Server::admin_port() const { return parts_->admin == nullptr ? 0 : parts_->admin->port(); }

void Server::SetQuotas(const QuotaOptions& quotas) { parts_->SetQuotas(quotas); }
ConfigPending& Server::config_pending() { return parts_->config_pending; }

void Server::StopBeingReady() {
  parts_->health.Drain();
  parts_->rpc->SetServing(false);
}

absl::Status Server::SetIssuers(std::vector<IssuerOptions> issuers) {
  return parts_->authenticator->SetIssuers(parts_->AllIssuers(std::move(issuers)));
}

void Server::Shutdown(absl::Duration grace) {
  parts_->health.Drain();
  if (parts_->rpc != nullptr) parts_->rpc->Shutdown(grace);
  parts_->stopping = true;
  if (parts_->ticker.joinable()) parts_->only_keys.wait(false);
  // In this order; a start that failed has not made them all.
  const auto stop = [](auto&... parts) { ((parts == nullptr ? void() : parts->Stop()), ...); };
  if (parts_->engine != nullptr) parts_->engine->StopGivingSpaceBack();
  if (parts_->admin != nullptr) parts_->admin->Withdraw();
  stop(parts_->authenticator, parts_->manage_hubs, parts_->purges, parts_->scrubber,
       parts_->expiries, parts_->key_versions, parts_->operations);
  parts_->stopped = true;
  if (parts_->ticker.joinable()) parts_->ticker.join();
  stop(parts_->keys, parts_->follower);
  parts_->search_worker.Stop();
  if (parts_->hub_usage != nullptr) {
    parts_->hub_usage->Stop();
    (void)parts_->hub_usage->Flush();  // what it cannot write, a crash would have lost too
  }
}

}  // namespace cmkstore::service
