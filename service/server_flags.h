#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>

#include "cmkstore/config/v1/config.pb.h"

namespace cmkstore::service {

// What cmkstored's command line says: a configuration file, or the few options that development
// needs in its place.
struct ServerFlags {
  std::string config_file;
  bool check_config = false;
  bool check_files = false;
  bool print_default_config = false;
  std::optional<std::string> restore;  // the backup's id
  std::string ready_file;
  std::string openssl_properties;
  config::v1::Config shorthand;
};

// The grammar of the command line. `flags` must outlive the parse.
void DeclareFlags(CLI::App& app, ServerFlags& flags);

}  // namespace cmkstore::service
