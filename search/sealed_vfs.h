#pragma once

#include <sqlite3.h>

#include <memory>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "base/ids.h"
#include "crypto/random.h"
#include "crypto/secret_bytes.h"
#include "crypto/xaes.h"
#include "search/sealed_file.h"

namespace cmkstore::search {

// An SQLite VFS whose files are sealed under one hub's index key; one object per open index.
//
// Databases on it must keep `locking_mode=EXCLUSIVE` (the log's shared memory then stays off the
// disk) and `temp_store=MEMORY`: a temporary file is refused. It reports a sealed page as the
// sector size and claims no safe overwrite, so that SQLite reckons with a torn page.
//
// Not thread-safe beyond what its one connection is. Must outlive the connection.
class SealedVfs {
 public:
  // Copies what it needs of `key` (32 bytes). Errors: INVARIANT for a key of another size.
  static absl::StatusOr<std::unique_ptr<SealedVfs>> Create(HubUid hub,
                                                           const crypto::SecretBytes& key);
  ~SealedVfs();
  SealedVfs(const SealedVfs&) = delete;
  SealedVfs& operator=(const SealedVfs&) = delete;

  // For sqlite3_open_v2.
  const char* name() const { return name_.c_str(); }
  // The connection has answered a query: its log has been recovered.
  void Recovered() { context_.recovering = false; }
  // A part of a file did not open under the key: the index is lost.
  bool damaged() const { return context_.damaged; }
  // errno of what the operating system has refused of a file since this was asked last; 0: nothing.
  int TakeRefusal() { return std::exchange(context_.refusal, 0); }

 private:
  SealedVfs(HubUid hub, std::unique_ptr<crypto::XaesKey> key);
  static int OpenFile(sqlite3_vfs* vfs, const char* path, sqlite3_file* file, int flags,
                      int* out_flags);

  const std::string name_;
  const std::unique_ptr<crypto::XaesKey> key_;
  crypto::SystemRandom random_;
  SealContext context_;
  sqlite3_vfs* const root_;
  sqlite3_vfs vfs_{};
};

}  // namespace cmkstore::search
