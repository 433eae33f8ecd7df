#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "store/commit_queue.h"
#include "store/engine.h"
#include "store/rocksdb/shard_stats.h"
#include "store/rocksdb/table_files.h"
#include "store/rocksdb/unreadable_gap.h"

namespace rocksdb {
class Cache;
class Env;
}  // namespace rocksdb

namespace cmkstore::store {

class Shard;

struct ShardSetOptions {
  std::string directory;  // one sub-directory per shard
  uint32_t shards = 4;    // fixed when the directory is first made
  size_t block_cache_bytes = 128u << 20;
  size_t write_buffer_bytes = 96u << 20;  // all shards together
  size_t background_bytes_per_second = 256u << 20;
  absl::Duration resume_interval = absl::Seconds(1);  // between attempts after a failed write
  // How long a shard that has resumed must go on without an error until its failure is over.
  absl::Duration proving_time = absl::Minutes(5);
  absl::Duration cut_wait = absl::Seconds(5);  // how long shards wait for each other in a cut
  size_t max_open_files = 512;                 // tables of each shard
  CommitLimits limits;
  rocksdb::Env* env = nullptr;  // what the files are on; null: the operating system's
};

// The Engine over RocksDB, one database per shard (docs/adr/0004-commit-thread.md).
class ShardSet final : public Engine {
 public:
  // Errors: as Shard::Open; STATE_INVALID when the directory was made with another number of
  // shards.
  static absl::StatusOr<std::unique_ptr<ShardSet>> Open(const ShardSetOptions& options);
  ~ShardSet() override;

  uint32_t shard_count() const override { return static_cast<uint32_t>(shards_.size()); }
  absl::StatusOr<std::optional<std::string>> Get(const Partition& partition,
                                                 absl::string_view key) const override;
  absl::StatusOr<std::vector<std::optional<std::string>>> MultiGet(
      const Partition& partition, const std::vector<std::string>& keys,
      size_t enough_bytes) const override;
  absl::StatusOr<std::vector<Row>> Scan(const Partition& partition, const KeyRange& range,
                                        ReadLimit limit) const override;
  absl::StatusOr<ReadableRows> ScanReadable(const Partition& partition, const KeyRange& range,
                                            ReadLimit limit) const override;
  void Apply(const Partition& partition, WriteSet writes, Done done) override;
  absl::StatusOr<Sequence> LastSequence(const Partition& partition) const override;
  absl::Status DropPartition(const Partition& partition) override;
  // The server stops: what a drop is rewriting, or would, is given up with STORE_BUSY. The rows are
  // gone; dropped again, the partition gives its space back.
  void StopGivingSpaceBack();

  // Copies all shards as they are at one moment into `directory`, which must not be there: a set of
  // its own, to be opened with as many shards. Table files are linked, not copied. Commits wait for
  // some milliseconds. Blocking. Errors: STORE_BUSY (a shard stands still; try again), STORE_FULL.
  // `despite_damage`: also of a shard that cannot write tables because it has met a damaged one;
  // else that is STORE_CORRUPT.
  absl::Status Cut(const std::string& directory, bool despite_damage = false);
  // Rows of one shard by their full keys, catalog and all, from just behind `after`; at most
  // `max_bytes`, and one at least while there are any. Those before one that cannot be read are
  // given; the error (STORE_CORRUPT) is that of the next call.
  absl::StatusOr<std::vector<Row>> ReadRows(uint32_t shard, const std::string& after,
                                            size_t max_bytes) const;
  // What stands behind `after` and cannot be read, as ReadRows has told.
  absl::StatusOr<UnreadableGap> GapBehind(uint32_t shard, const std::string& after) const;
  // Writes rows of ReadRows, feed and sequences included, as they are.
  absl::Status WriteRows(uint32_t shard, const std::vector<Row>& rows);
  // The table files of all shards, as they are now. Errors: STORE_BUSY.
  absl::StatusOr<std::vector<TableFile>> TableFiles() const;
  // Compares every table file with the checksum that the shard's manifest has of it. Errors: that
  // of `pace`; STORE_BUSY (a shard could not be looked at), when the others have been.
  absl::StatusOr<FileCheck> VerifyFiles(const PaceFunction& pace,
                                        const DamageFunction& damaged) const;
  // Shards that refuse writes now. Each is let try again, and each that still has to prove itself
  // looked at.
  size_t NudgeStopped();
  std::vector<ShardState> States() const;
  // Of the block cache that all shards share.
  size_t block_cache_bytes() const;

 private:
  ShardSet(std::shared_ptr<rocksdb::Cache> block_cache, std::vector<std::unique_ptr<Shard>> shards,
           absl::Duration cut_wait);
  absl::StatusOr<Shard*> ShardOf(const Partition& partition) const;

  const std::shared_ptr<rocksdb::Cache> block_cache_;
  std::vector<std::unique_ptr<Shard>> shards_;
  const absl::Duration cut_wait_;
};

}  // namespace cmkstore::store
