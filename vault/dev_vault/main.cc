// cmkdevvault: a local Azure Key Vault for development, demonstrations and tests.

#include <signal.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <string>

#include "base/clock.h"
#include "vault/dev_vault/dev_vault.h"

int main(int argc, char** argv) {
  cmkstore::dev_vault::DevVaultOptions options;
  CLI::App app(
      "A local Azure Key Vault with real RSA keys, real TLS and the real answers. Not for "
      "production:\n"
      "its keys lie in a plain file.\n\n"
      "Example: cmkdevvault --state-dir /tmp/vault --port 8443\n"
      "When it serves, STATE_DIR/ready.json says where and how to log in.");
  app.add_option("--state-dir", options.state_dir, "Folder for keys, certificates and tokens")
      ->required();
  app.add_option("--port", options.port, "TCP port; 0 takes any free one")->capture_default_str();
  app.add_option("--address", options.address, "Address to listen on")->capture_default_str();
  app.add_flag("--allow-non-loopback", options.allow_non_loopback,
               "Listen on an address that others can reach");
  app.add_option("--recovery-level", options.recovery_level, "What keys say of their recovery")
      ->check(
          CLI::IsMember({"Purgeable", "Recoverable+Purgeable", "Recoverable",
                         "Recoverable+ProtectedSubscription", "CustomizedRecoverable+Purgeable",
                         "CustomizedRecoverable", "CustomizedRecoverable+ProtectedSubscription"}))
      ->capture_default_str();
  CLI11_PARSE(app, argc, argv);

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
  std::printf("cmkdevvault serves %s (for development only)\n", (*vault)->endpoints().url.c_str());
  std::fflush(stdout);
  int received = 0;
  sigwait(&signals, &received);
  return 0;
}
