// cmkdevvault: a local Azure Key Vault for development, demonstrations and tests.

#include <signal.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <string>

#include "base/clock.h"
#include "base/command_line.h"
#include "vault/dev_vault/dev_vault.h"

namespace {

constexpr char kDescription[] =
    R"help(A local Azure Key Vault with real RSA keys, real TLS, a directory that issues the
tokens, and the real answers. NOT FOR PRODUCTION: its keys lie in plain files.

  cmkdevvault --state-dir /tmp/vault --port 8443

When it serves, STATE_DIR/ready.json says where and how to log in. To look around:

  cd /tmp/vault; url=$(jq -r .url ready.json)
  token=$(curl -s --cacert ca.pem $url/$(jq -r .tenant_id ready.json)/oauth2/v2.0/token \
    -d grant_type=client_credentials -d client_id=$(jq -r .client_id ready.json) \
    -d scope=https://vault.azure.net/.default \
    -d client_secret=$(cat client.secret) | jq -r .access_token)
  curl --cacert ca.pem -H "Authorization: Bearer $token" -H 'Content-Type: application/json' \
    "$url/keys/k1/create?api-version=7.4" -d '{"kty":"RSA","key_size":2048}'

Faults, clock, firewall and permissions are steered by the admin API:

  curl --cacert ca.pem -H "Authorization: Bearer $(cat admin.token)" \
    $url/_dev/faults -d '{"faults":[{"operation":"unwrapkey","status":503,"count":3}]}'

One process serves many vaults: https://kv1.vault.localhost:PORT is another one than
https://localhost:PORT. docs/devvault.md is the manual.
)help";

}  // namespace

int main(int argc, char** argv) {
  cmkstore::dev_vault::DevVaultOptions options;
  options.client_certificate = true;
  CLI::App app(kDescription);
  app.add_option("--state-dir", options.state_dir, "Folder for keys, certificates and tokens")
      ->required();
  app.add_option("--port", options.port, "TCP port; 0 takes any free one")->capture_default_str();
  app.add_option("--imds-port", options.imds_port,
                 "TCP port of the instance metadata service; 0 takes any free one")
      ->capture_default_str();
  app.add_option("--address", options.address, "Address to listen on")->capture_default_str();
  app.add_flag("--allow-non-loopback", options.allow_non_loopback,
               "Listen on an address that others can reach");
  app.add_option("--host", options.host, "Name by which callers reach it, in URLs and certificate")
      ->capture_default_str();
  app.add_option("--certificate-name", options.certificate_names,
                 "One more name for the certificate, DNS:name or IP:address; may be repeated");
  app.add_option("--tenant", options.tenant_id, "Tenant of its directory")->capture_default_str();
  app.add_option("--client", options.client_id, "Client id of its first identity")
      ->capture_default_str();
  app.add_flag("--managed-hsm", options.managed_hsm,
               "Its vaults are managed HSMs: RSA-HSM and oct-HSM keys, another resource");
  app.add_flag("--tls-1.2-only", options.tls_1_2_only, "Refuse TLS 1.3");
  app.add_option("--recovery-level", options.recovery_level, "What keys say of their recovery")
      ->check(
          CLI::IsMember({"Purgeable", "Recoverable+Purgeable", "Recoverable",
                         "Recoverable+ProtectedSubscription", "CustomizedRecoverable+Purgeable",
                         "CustomizedRecoverable", "CustomizedRecoverable+ProtectedSubscription"}))
      ->capture_default_str();
  cmkstore::RefuseEmptyValues(app);
  if (const auto ended = cmkstore::ReadCommandLine(app, argc, argv)) return *ended;

  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  signal(SIGPIPE, SIG_IGN);

  cmkstore::SystemClock clock;
  auto vault = cmkstore::dev_vault::DevVault::Start(options, clock);
  if (!vault.ok()) {
    std::fprintf(stderr, "cmkdevvault: %s\n", std::string(vault.status().message()).c_str());
    return 1;
  }
  std::printf(
      "cmkdevvault serves %s (NOT FOR PRODUCTION: its keys lie in plain files)\n"
      "how to log in: %s/ready.json\n",
      (*vault)->endpoints().url.c_str(), options.state_dir.c_str());
  std::fflush(stdout);
  int received = 0;
  sigwait(&signals, &received);
  return 0;
}
