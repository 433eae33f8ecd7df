#pragma once

#include <rocksdb/options.h>

#include <cstddef>
#include <memory>

#include "absl/time/time.h"

namespace cmkstore::store {

// What all shards of a process share.
struct ShardResources {
  std::shared_ptr<rocksdb::Cache> block_cache;
  std::shared_ptr<rocksdb::WriteBufferManager> write_buffers;
  std::shared_ptr<rocksdb::RateLimiter> rate_limiter;
  rocksdb::Env* env = nullptr;  // set by ShardSet::Open
  absl::Duration resume_interval;
  absl::Duration proving_time;
  size_t max_open_files = 512;
};

// How a shard's database is opened.
rocksdb::Options ShardOptions(const ShardResources& resources);

}  // namespace cmkstore::store
