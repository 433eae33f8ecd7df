#include "service/server_flags.h"

#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/build_info.h"
#include "base/command_line.h"

namespace cmkstore::service {
namespace {

using config::v1::Config;

struct Shorthand {
  const char* flag;
  const char* help;
  void (*set)(config::v1::Config&, const std::string&);
};

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

}  // namespace

void DeclareFlags(CLI::App& app, ServerFlags& flags) {
  app.set_version_flag("--version",
                       absl::StrCat("cmkstored " CMKSTORE_VERSION " (", BuildRevision(), ")"),
                       "Print the version, and end");
  CLI::Option* file =
      app.add_option("--config", flags.config_file, "The configuration (docs/configuration.md)");
  CLI::Option* check =
      app.add_flag("--check-config", flags.check_config, "Say what is wrong with it, and end")
          ->needs(file);
  app.add_flag("--check-files", flags.check_files,
               "With --check-config: also try the files and directories that it names")
      ->needs(check);
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
  RefuseEmptyValues(app);
}

}  // namespace cmkstore::service
