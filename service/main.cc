// cmkstored: the server.

#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>
#include <thread>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/command_line.h"
#include "base/errors.h"
#include "base/file.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "crypto/provider.h"
#include "crypto/secret_bytes.h"
#include "service/backup/restore.h"
#include "service/config/config_files.h"
#include "service/config/config_printer.h"
#include "service/config/config_reader.h"
#include "service/config/config_rules.h"
#include "service/config_reloader.h"
#include "service/descriptor_budget.h"
#include "service/grpc_log.h"
#include "service/server.h"
#include "service/server_flags.h"
#include "service/server_setup.h"
#include "service/timestamps.h"

namespace cmkstore::service {
namespace {

constexpr size_t kSecretMemoryBytes = 1u << 20;
constexpr rlim_t kDescriptors = 65'536;
constexpr rlim_t kLeastDescriptors = 256;
constexpr time_t kReloadSeconds = 2;
// For what a stop has to do once shutdown.drain is over.
constexpr absl::Duration kStopAfterDrain = absl::Seconds(10);

absl::StatusOr<LoadedConfig> LoadConfig(const ServerFlags& flags) {
  if (flags.config_file.empty()) {
    LoadedConfig loaded;
    loaded.config = flags.shorthand;
    FillDefaults(loaded.config);
    loaded.config.mutable_shutdown()->clear_notice();  // nobody balances load to a developer
    return loaded;
  }
  const auto text = ReadFile(flags.config_file);
  if (!text.has_value()) {
    const int why = errno;
    return StateInvalid(
        absl::StrCat("--config: ", flags.config_file, " cannot be read: ", std::strerror(why)));
  }
  CMK_ASSIGN_OR_RETURN(LoadedConfig loaded, ReadConfig(flags.config_file, *text));
  CMK_RETURN_IF_ERROR(ToStatus(loaded, CheckRules(loaded.config)));
  return loaded;
}

int Fail(const absl::Status& status) {
  for (absl::string_view line : absl::StrSplit(status.message(), '\n')) {
    std::fprintf(stderr, "cmkstored: %s\n", std::string(line).c_str());
  }
  if (HasReason(status, "STORE_CORRUPT")) {
    std::fprintf(stderr, "cmkstored: what to do: docs/operations.md, CmkstoreDataDamaged\n");
  }
  return 1;
}

// What only the environment of the start can tell: nothing is refused for it here.
void PrintLacksOfIdentities(const LoadedConfig& loaded) {
  for (int i = 0; i < loaded.config.identities_size(); ++i) {
    const auto identity = ToIdentityOptions(loaded.config.identities(i));
    const absl::Status lacks =
        ToStatus(loaded, IdentityProblems(i, vault::CheckIdentity(identity)));
    if (lacks.ok()) continue;
    std::printf("not refused here, as only its pod can tell:\n%s\n",
                std::string(lacks.message()).c_str());
  }
}

int CheckConfigAndEnd(const LoadedConfig& loaded, bool files, Clock& clock) {
  const std::string is_valid = absl::StrCat(loaded.file, " is a valid configuration");
  if (!files) {
    PrintLacksOfIdentities(loaded);
    std::printf("%s; files that it names were not looked at: --check-files does\n",
                is_valid.c_str());
    return 0;
  }
  if (loaded.config.development().enabled()) {
    return Fail(StateInvalid("--check-files is not for development, which makes its own files"));
  }
  const absl::Status usable = ToStatus(loaded, CheckFiles(loaded.config));
  if (!usable.ok()) return Fail(usable);
  const auto options = MakeServerOptions(loaded, clock);
  if (!options.ok()) return Fail(options.status());
  std::printf("%s, and its files can be used; not tried: its addresses, and any vault\n",
              is_valid.c_str());
  return 0;
}

// For an empty data directory, before a server serves from it.
int RestoreAndEnd(const config::v1::Config& config, const std::string& id, Clock& clock) {
  if (config.backup().directory().empty()) {
    return Fail(StateInvalid("backup.directory must say where the backup is"));
  }
  absl::Time next_line = clock.MonotonicNow();
  WorkWatch watch;
  watch.go_on = [] { return absl::OkStatus(); };
  watch.progress = [&](uint64_t done, uint64_t total) {
    if (clock.MonotonicNow() < next_line && done != total) return;
    next_line = clock.MonotonicNow() + absl::Seconds(1);
    std::fprintf(stderr, "restored %llu of %llu bytes\n", static_cast<unsigned long long>(done),
                 static_cast<unsigned long long>(total));
  };
  const auto restored = RestoreOffline(ToBackupOptions(config.backup()), id,
                                       {config.data_dir(), config.store().shards()}, clock, watch);
  if (!restored.ok()) return Fail(restored.status());
  std::printf("restored %s: %llu hubs; left out, as purged since: %llu\n", id.c_str(),
              static_cast<unsigned long long>(restored->hubs),
              static_cast<unsigned long long>(restored->purged_hubs));
  return 0;
}

// Until SIGTERM or SIGINT; looks after the configuration meanwhile.
void ServeUntilSignal(const sigset_t& signals, const LoadedConfig& loaded, std::string seen,
                      Server& server) {
  ConfigReloader reloader(loaded, std::move(seen), server);
  const timespec look = {kReloadSeconds, 0};
  while (sigtimedwait(&signals, nullptr, &look) < 0) {
    if (!loaded.file.empty()) reloader.Poll();
  }
}

// Ends the process if its stop has not by then: a call that was cut may still wait for a vault, or
// for a disk that no longer answers. It loses no more than a kill: what was acknowledged is synced.
void EndWithin(absl::Duration bound) {
  std::thread([bound] {
    absl::SleepFor(bound);
    Log(LogLevel::kError, "stop_given_up");
    _exit(1);
  }).detach();
}

void PrepareProcess(sigset_t& signals) {
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  signal(SIGPIPE, SIG_IGN);
  TakeOverGrpcLog();
#ifdef NDEBUG
  // Debian's abseil is built with its assertions and would look for cycles at each lock, gRPC's
  // too. Our debug builds keep that.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
#endif
  rlimit descriptors{};
  getrlimit(RLIMIT_NOFILE, &descriptors);
  descriptors.rlim_cur = std::min(kDescriptors, descriptors.rlim_max);
  setrlimit(RLIMIT_NOFILE, &descriptors);
  if (!crypto::ReserveSecretMemory(kSecretMemoryBytes)) {
    Log(LogLevel::kWarning, "secret_memory_not_locked");
  }
}

uint64_t DescriptorLimit() {
  rlimit descriptors{};
  getrlimit(RLIMIT_NOFILE, &descriptors);
  return descriptors.rlim_cur;
}

// gRPC and RocksDB end the process where they find no descriptor while they start.
absl::Status CheckDescriptors() {
  const uint64_t descriptors = DescriptorLimit();
  if (descriptors >= kLeastDescriptors) return absl::OkStatus();
  return StateInvalid(absl::StrCat("only ", descriptors,
                                   " files may be open at once, and a server needs at least ",
                                   kLeastDescriptors, ": raise the limit (ulimit -n)"));
}

void FitDescriptors(ServerOptions& options) {
  const uint64_t descriptors = DescriptorLimit();
  const DescriptorBudget budget =
      DealDescriptors(descriptors, options.shards.shards, options.indexes.max_open);
  if (budget.scarce) {
    Log(LogLevel::kWarning, "descriptors_scarce",
        {{"descriptors", absl::StrCat(descriptors)},
         {"open_indexes", absl::StrCat(budget.open_indexes)},
         {"table_files_per_shard", absl::StrCat(budget.table_files_per_shard)}});
  }
  options.indexes.max_open = budget.open_indexes;
  options.shards.max_open_files = budget.table_files_per_shard;
}

int Run(const ServerFlags& flags) {
  if (flags.print_default_config) {
    std::fputs(PrintDefaultConfig().c_str(), stdout);
    return 0;
  }
  if (flags.config_file.empty() && !flags.shorthand.has_data_dir()) {
    (void)Fail(
        StateInvalid("--config FILE, or --data-dir and --development, are needed; see --help"));
    return kUsageExitCode;
  }
  // Before the first key is derived: algorithms are remembered at their first use.
  const absl::Status chosen = crypto::SelectProvider(flags.openssl_properties);
  if (!chosen.ok()) return Fail(chosen);
  const absl::StatusOr<LoadedConfig> loaded = LoadConfig(flags);
  if (!loaded.ok()) return Fail(loaded.status());
  std::string seen = ConfigReloader::Fingerprint(*loaded);
  SystemClock clock;
  if (flags.check_config) return CheckConfigAndEnd(*loaded, flags.check_files, clock);
  sigset_t signals;
  PrepareProcess(signals);
  const absl::Status descriptors = CheckDescriptors();
  if (!descriptors.ok()) return Fail(descriptors);
  ApplyLogLevel(loaded->config.log());
  if (flags.restore.has_value()) return RestoreAndEnd(loaded->config, *flags.restore, clock);
  const absl::Status restored = CheckNoUnfinishedRestore(loaded->config.data_dir());
  if (!restored.ok()) return Fail(restored);
  const auto development = LockDevelopment(loaded->config);
  if (!development.ok()) return Fail(development.status());
  auto options = MakeServerOptions(*loaded, clock);
  if (!options.ok()) return Fail(options.status());
  FitDescriptors(*options);
  auto server = Server::Start(*std::move(options), clock);
  if (!server.ok()) return Fail(server.status());
  std::string address = loaded->config.listeners(0).address();
  if (!absl::StartsWith(address, "unix:")) {
    address = absl::StrCat(address.substr(0, address.rfind(':')), ":", (*server)->port());
  }
  Log(LogLevel::kInfo, "serving",
      {{"address", address}, {"admin_port", absl::StrCat((*server)->admin_port())}});
  if (!flags.ready_file.empty()) WriteFileDurably(flags.ready_file, address + "\n");
  ServeUntilSignal(signals, *loaded, std::move(seen), **server);
  Log(LogLevel::kInfo, "draining");
  (*server)->StopBeingReady();
  clock.Sleep(ToAbsl(loaded->config.shutdown().notice()));
  const absl::Duration drain = ToAbsl(loaded->config.shutdown().drain());
  EndWithin(drain + kStopAfterDrain);
  (*server)->Shutdown(drain);
  server->reset();
  Log(LogLevel::kInfo, "stopped");
  return 0;
}

}  // namespace
}  // namespace cmkstore::service

int main(int argc, char** argv) {
  CLI::App app(
      "cmkstored: a metadata store in which every document is sealed under its hub's own key.\n\n"
      "Development: cmkstored --data-dir /tmp/cmk --development --listen 127.0.0.1:7443");
  cmkstore::service::ServerFlags flags;
  cmkstore::service::DeclareFlags(app, flags);
  if (const auto ended = cmkstore::ReadCommandLine(app, argc, argv)) return *ended;
  return cmkstore::service::Run(flags);
}
