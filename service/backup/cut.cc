#include "service/backup/cut.h"

#include <filesystem>
#include <utility>

#include "base/errors.h"
#include "base/status_macros.h"

namespace cmkstore::service {
namespace {

constexpr int kAttempts = 5;
constexpr absl::Duration kBetween = absl::Seconds(1);
constexpr size_t kAsideCacheBytes = 16u << 20;
constexpr size_t kAsideOpenFiles = 32;  // descriptor_budget.cc has room for them

void RemoveAll(const std::string& path) {
  std::error_code ignored;
  std::filesystem::remove_all(path, ignored);
}

}  // namespace

ScratchDirectory::ScratchDirectory(std::string path) : path_(std::move(path)) { RemoveAll(path_); }

ScratchDirectory::~ScratchDirectory() { RemoveAll(path_); }

absl::Status CutShards(store::ShardSet& shards, const std::string& path, Clock& clock,
                       const std::function<absl::Status()>& go_on, bool despite_damage) {
  for (int attempt = 1;; ++attempt) {
    CMK_RETURN_IF_ERROR(go_on());
    const absl::Status cut = shards.Cut(path, despite_damage);
    // Where a write met damage, the shard refuses the cut with it until it has been opened anew.
    const bool may_pass =
        HasReason(cut, "STORE_BUSY") || (despite_damage && HasReason(cut, "STORE_CORRUPT"));
    if (!may_pass || attempt == kAttempts) return cut;
    RemoveAll(path);
    clock.Sleep(kBetween);
  }
}

absl::StatusOr<std::unique_ptr<store::ShardSet>> OpenAside(const std::string& path,
                                                           uint32_t shards) {
  store::ShardSetOptions options;
  options.directory = path;
  options.shards = shards;
  options.block_cache_bytes = kAsideCacheBytes;
  options.write_buffer_bytes = kAsideCacheBytes;
  options.max_open_files = kAsideOpenFiles;
  return store::ShardSet::Open(options);
}

}  // namespace cmkstore::service
