#pragma once

#include <string>

#include "service/config/config_reader.h"
#include "service/server.h"

namespace cmkstore::service {

// Applies what changes in the configuration file, and in the key sets that it names, to a running
// server: issuers, quotas and log level. Compares content, so that a file swapped through a
// symbolic link counts as changed. What is wrong is logged (`config_not_reloaded`) and changes
// nothing; options that need a restart are named in the log (`config_needs_restart`). Both are
// shown by cmkstore_config_pending for as long as it is so.
//
// Not thread-safe: Poll is to be called every few seconds from one thread. `server` must outlive
// this. Certificates and CA bundles are watched by whoever uses them.
class ConfigReloader {
 public:
  // `seen`: of `in_force`, from before the files that it names were read: what has changed since,
  // while the server started, is applied by the first Poll.
  ConfigReloader(LoadedConfig in_force, std::string seen, Server& server);

  // Tells apart what a configuration and the key sets that it names say.
  static std::string Fingerprint(const LoadedConfig& loaded) {
    return Fingerprint(loaded, loaded.text);
  }

  // Looks at the files once. Returns whether something was applied.
  bool Poll();

 private:
  static std::string Fingerprint(const LoadedConfig& loaded, const std::string& text);
  absl::Status Apply(const LoadedConfig& next);

  const config::v1::Config started_with_;
  LoadedConfig in_force_;
  Server& server_;
  std::string seen_;  // fingerprint of what was last looked at, good or bad
};

}  // namespace cmkstore::service
