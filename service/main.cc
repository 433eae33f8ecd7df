// cmkstored: the server.

#include <signal.h>
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "base/clock.h"
#include "base/command_line.h"
#include "base/errors.h"
#include "base/file.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "crypto/provider.h"
#include "crypto/secret_bytes.h"
#include "service/backup/restore.h"
#include "service/config/config_printer.h"
#include "service/config/config_reader.h"
#include "service/config/config_rules.h"
#include "service/config_reloader.h"
#include "service/grpc_log.h"
#include "service/server.h"
#include "service/server_setup.h"
#include "service/timestamps.h"

namespace cmkstore::service {
namespace {

constexpr size_t kSecretMemoryBytes = 1u << 20;
constexpr rlim_t kDescriptors = 65'536;
constexpr time_t kReloadSeconds = 2;

// What the command line says: a configuration file, or the few options that development needs.
struct Flags {
  std::string config_file;
  bool check_config = false;
  bool print_default_config = false;
  std::string restore;
  std::string ready_file;
  std::string openssl_properties;
  config::v1::Config shorthand;
};

struct Shorthand {
  const char* flag;
  const char* help;
  void (*set)(config::v1::Config&, const std::string&);
};

using config::v1::Config;

constexpr Shorthand kShorthands[] = {
    {"--data-dir", "Where everything is kept",
     [](Config& config, const std::string& value) { config.set_data_dir(value); }},
    {"--listen", "Address and port (127.0.0.1:7443)",
     [](Config& config, const std::string& value) {
       config.mutable_listeners(0)->set_address(value);
     }},
    {"--admin", "Address and port of health, metrics and status, or off (127.0.0.1:0)",
     [](Config& config, const std::string& value) { config.mutable_admin()->set_address(value); }},
    {"--backup-dir", "Where backups are kept",
     [](Config& config, const std::string& value) {
       config.mutable_backup()->set_directory(value);
     }},
    {"--vault-host", "HOST:PORT of a local vault that hubs may name",
     [](Config& config, const std::string& value) {
       config.mutable_development()->add_vault_hosts(value);
     }},
    {"--vault-ca", "PEM CA of vaults (the system's)",
     [](Config& config, const std::string& value) { config.mutable_vaults()->set_ca_file(value); }},
    {"--identity", "How to log in to vaults (managed-identity)",
     [](Config& config, const std::string& value) {
       config.mutable_identities(0)->set_kind(value);
     }},
    {"--authority", "Token endpoint's base URL",
     [](Config& config, const std::string& value) {
       config.mutable_identities(0)->set_authority(value);
     }},
    {"--identity-tenant", "Tenant of our identity",
     [](Config& config, const std::string& value) {
       config.mutable_identities(0)->set_tenant_id(value);
     }},
    {"--identity-client", "Client id of our identity",
     [](Config& config, const std::string& value) {
       config.mutable_identities(0)->set_client_id(value);
     }},
    {"--identity-secret-file", "Client secret",
     [](Config& config, const std::string& value) {
       config.mutable_identities(0)->set_secret_file(value);
     }},
    {"--identity-certificate-file", "Client certificate and its key, PEM in one file",
     [](Config& config, const std::string& value) {
       config.mutable_identities(0)->set_certificate_file(value);
     }},
    {"--identity-token-file", "Federated token",
     [](Config& config, const std::string& value) {
       config.mutable_identities(0)->set_token_file(value);
     }},
    {"--imds-url", "Base URL of the instance metadata service",
     [](Config& config, const std::string& value) {
       config.mutable_identities(0)->set_imds_url(value);
     }},
};

void Declare(CLI::App& app, Flags& flags) {
  CLI::Option* file =
      app.add_option("--config", flags.config_file, "The configuration (docs/configuration.md)");
  app.add_flag("--check-config", flags.check_config, "Say what is wrong with it, and end")
      ->needs(file);
  app.add_flag("--print-default-config", flags.print_default_config,
               "Print a configuration with every option, and end");
  app.add_option("--restore", flags.restore,
                 "Bring this backup of backup.directory into the empty data directory, and end");
  app.add_option("--ready-file", flags.ready_file, "Written with the address once it serves");
  app.add_option("--openssl-properties", flags.openssl_properties,
                 "Which OpenSSL provider computes, such as fips=yes; refuses to start without it");
  flags.shorthand.add_listeners()->set_address("127.0.0.1:7443");
  flags.shorthand.add_identities();
  flags.shorthand.mutable_admin()->set_address("127.0.0.1:0");
  CLI::App& group = *app.add_option_group("Development", "In place of a file");
  group
      .add_flag_callback(
          "--development", [&flags] { flags.shorthand.mutable_development()->set_enabled(true); },
          "On loopback only: certificates and tokens are in DATA_DIR/dev, kept from start to start")
      ->excludes(file);
  group
      .add_flag_callback(
          "--plaintext", [&flags] { flags.shorthand.mutable_development()->set_plaintext(true); },
          "With --development: listen without TLS")
      ->excludes(file);
  for (const Shorthand& one : kShorthands) {
    CLI::Option* option = group.add_option_function<std::vector<std::string>>(
        one.flag,
        [&flags, set = one.set](const std::vector<std::string>& values) {
          for (const std::string& value : values) set(flags.shorthand, value);
        },
        one.help);
    option->type_name("TEXT")->expected(1)->excludes(file);
    if (std::string_view(one.flag) == "--vault-host") option->expected(1, 16);
    if (std::string_view(one.flag) == "--identity") {
      option->check(CLI::IsMember(
          {"managed-identity", "workload-identity", "client-secret", "client-certificate"}));
    }
  }
}

absl::StatusOr<LoadedConfig> LoadConfig(const Flags& flags) {
  if (flags.config_file.empty()) {
    LoadedConfig loaded;
    loaded.config = flags.shorthand;
    FillDefaults(loaded.config);
    loaded.config.mutable_shutdown()->clear_notice();  // nobody balances load to a developer
    return loaded;
  }
  const auto text = ReadFile(flags.config_file);
  if (!text.has_value()) return StateInvalid("--config must name a readable file");
  CMK_ASSIGN_OR_RETURN(LoadedConfig loaded, ReadConfig(flags.config_file, *text));
  CMK_RETURN_IF_ERROR(ToStatus(loaded, CheckRules(loaded.config)));
  return loaded;
}

int Fail(const absl::Status& status) {
  std::fprintf(stderr, "cmkstored: %s\n", std::string(status.message()).c_str());
  return 1;
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
  const auto restored =
      RestoreOffline(ToBackupOptions(config.backup()), id,
                     {config.data_dir(), config.store().shards()}, clock, watch);
  if (!restored.ok()) return Fail(restored.status());
  std::printf("restored %s: %llu hubs; left out, as purged since: %llu\n", id.c_str(),
              static_cast<unsigned long long>(restored->hubs),
              static_cast<unsigned long long>(restored->purged_hubs));
  return 0;
}

// Until SIGTERM or SIGINT; looks after the configuration meanwhile.
void ServeUntilSignal(const sigset_t& signals, const LoadedConfig& loaded, Server& server) {
  ConfigReloader reloader(loaded, server);
  const timespec look = {kReloadSeconds, 0};
  while (sigtimedwait(&signals, nullptr, &look) < 0) {
    if (!loaded.file.empty()) reloader.Poll();
  }
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

int Run(const Flags& flags) {
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
  if (flags.check_config) {
    std::printf("%s is a valid configuration\n", flags.config_file.c_str());
    return 0;
  }
  sigset_t signals;
  PrepareProcess(signals);
  ApplyLogLevel(loaded->config.log());
  SystemClock clock;
  if (!flags.restore.empty()) return RestoreAndEnd(loaded->config, flags.restore, clock);
  const auto development = LockDevelopment(loaded->config);
  if (!development.ok()) return Fail(development.status());
  auto options = MakeServerOptions(*loaded, clock);
  if (!options.ok()) return Fail(options.status());
  auto server = Server::Start(*std::move(options), clock);
  if (!server.ok()) return Fail(server.status());
  std::string address = loaded->config.listeners(0).address();
  if (!absl::StartsWith(address, "unix:")) {
    address = absl::StrCat(address.substr(0, address.rfind(':')), ":", (*server)->port());
  }
  Log(LogLevel::kInfo, "serving",
      {{"address", address}, {"admin_port", absl::StrCat((*server)->admin_port())}});
  if (!flags.ready_file.empty()) WriteFileDurably(flags.ready_file, address + "\n");
  ServeUntilSignal(signals, *loaded, **server);
  Log(LogLevel::kInfo, "draining");
  (*server)->StopBeingReady();
  clock.Sleep(ToAbsl(loaded->config.shutdown().notice()));
  (*server)->Shutdown(ToAbsl(loaded->config.shutdown().drain()));
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
  cmkstore::service::Flags flags;
  cmkstore::service::Declare(app, flags);
  if (const auto ended = cmkstore::ReadCommandLine(app, argc, argv)) return *ended;
  return cmkstore::service::Run(flags);
}
