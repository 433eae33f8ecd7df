#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "base/clock.h"
#include "store/rocksdb/shard_set.h"

namespace cmkstore::service {

// A directory that is empty when this begins, and gone when it ends. A crash leaves it to the next.
class ScratchDirectory {
 public:
  explicit ScratchDirectory(std::string path);
  ~ScratchDirectory();
  ScratchDirectory(const ScratchDirectory&) = delete;
  ScratchDirectory& operator=(const ScratchDirectory&) = delete;

  const std::string& path() const { return path_; }

 private:
  const std::string path_;
};

// Copies the shards of one moment to `path` (ShardSet::Cut), a few times if they are busy, or,
// `despite_damage`, one of them was stopped by it. Errors: those of Cut, that of `go_on`.
absl::Status CutShards(store::ShardSet& shards, const std::string& path, Clock& clock,
                       const std::function<absl::Status()>& go_on, bool despite_damage = false);

// Opens shards beside the ones that are served from, with little memory. Errors: those of
// ShardSet::Open.
absl::StatusOr<std::unique_ptr<store::ShardSet>> OpenAside(const std::string& path,
                                                           uint32_t shards);

}  // namespace cmkstore::service
