#pragma once

#include <unistd.h>

#include <filesystem>
#include <initializer_list>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/private_directory.h"
#include "crypto/rsa_key.h"

namespace cmkstore::testing {

// The RSA keys that a dev vault and a development server make at their first start and keep. To
// make them takes seconds, and nearly no test is about that: so each of `names` is made once per
// program for all tests of a build tree, and put into `directory`, where the program finds it.
inline void PlaceKeys(const std::string& program, const std::string& directory,
                      std::initializer_list<const char*> names) {
  namespace fs = std::filesystem;
  const fs::path tests = fs::read_symlink("/proc/self/exe").parent_path().parent_path();
  const fs::path pool = tests / "keys" / program;
  fs::create_directories(pool);
  (void)MakePrivateDirectory(directory);
  for (const char* name : names) {
    const fs::path kept = pool / name, placed = fs::path(directory) / name;
    if (fs::exists(placed)) continue;
    if (!fs::exists(kept)) {
      // Of two tests that make it at once, the last one's stays; each may use either.
      const std::string made = absl::StrCat(kept.string(), ".", getpid());
      WriteFileDurably(made, crypto::RsaPrivateKey::Generate(2048)->ToPem());
      fs::rename(made, kept);
    }
    fs::copy_file(kept, placed, fs::copy_options::skip_existing);
  }
}

inline void PlaceVaultKeys(const std::string& state_dir) {
  PlaceKeys("vault", state_dir, {"ca.key", "tls.key", "signing.key"});
}

// For MintDevCredentials with this data directory.
inline void PlaceServerKeys(const std::string& data_dir) {
  (void)MakePrivateDirectory(data_dir);
  PlaceKeys("server", data_dir + "/dev", {"ca.key", "server.key", "client.key", "token.key"});
}

}  // namespace cmkstore::testing
