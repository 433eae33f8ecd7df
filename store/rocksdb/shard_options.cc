#include "store/rocksdb/shard_options.h"

#include <rocksdb/filter_policy.h>
#include <rocksdb/listener.h>
#include <rocksdb/rate_limiter.h>
#include <rocksdb/slice_transform.h>
#include <rocksdb/table.h>
#include <rocksdb/write_buffer_manager.h>

#include "base/ids.h"
#include "store/rocksdb/store_log.h"

namespace cmkstore::store {
namespace {

// The commit thread opens the database anew after a failure; a thread of RocksDB at the same would
// only be in its way.
class NoRecoveryByItself final : public rocksdb::EventListener {
 public:
  void OnErrorRecoveryBegin(rocksdb::BackgroundErrorReason, rocksdb::Status,
                            bool* recover_by_itself) override {
    *recover_by_itself = false;
  }
};

}  // namespace

// Settings for small incompressible values, and around the hazards of RocksDB 7.8: no async_io, no
// track_and_verify_wals_in_manifest, every write synced by Write itself.
rocksdb::Options ShardOptions(const ShardResources& resources) {
  rocksdb::Options options;
  options.env = resources.env;
  options.listeners.push_back(std::make_shared<NoRecoveryByItself>());
  options.create_if_missing = true;
  options.compression = rocksdb::kNoCompression;
  options.bottommost_compression = rocksdb::kNoCompression;
  options.prefix_extractor.reset(rocksdb::NewFixedPrefixTransform(HubUid::kBytes));
  options.paranoid_checks = true;
  options.file_checksum_gen_factory = rocksdb::GetFileChecksumGenCrc32cFactory();
  options.max_total_wal_size = 64u << 20;
  options.wal_bytes_per_sync = 1u << 20;
  options.write_buffer_manager = resources.write_buffers;
  options.rate_limiter = resources.rate_limiter;
  // A torn tail is what a crash leaves; damage before it is reported instead of read as the end.
  options.wal_recovery_mode = rocksdb::WALRecoveryMode::kTolerateCorruptedTailRecords;
  options.max_open_files = static_cast<int>(resources.max_open_files);
  options.info_log = std::make_shared<StoreLog>();

  rocksdb::BlockBasedTableOptions table;
  table.format_version = 5;
  table.block_size = 16u << 10;
  table.block_cache = resources.block_cache;
  table.cache_index_and_filter_blocks = true;
  table.pin_l0_filter_and_index_blocks_in_cache = true;
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
  table.whole_key_filtering = true;
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  return options;
}

}  // namespace cmkstore::store
