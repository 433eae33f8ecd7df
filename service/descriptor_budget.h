#pragma once

#include <cstddef>
#include <cstdint>

namespace cmkstore::service {

// How many files the store and the indexes may hold open. With connections (acceptor.h), which may
// take two thirds of the process's descriptors, all fit into them.
struct DescriptorBudget {
  size_t open_indexes = 0;           // as many as are wanted, or fewer
  size_t table_files_per_shard = 0;  // RocksDB opens more one after the other
  bool scarce = false;               // fewer than are wanted, or few
};

DescriptorBudget DealDescriptors(uint64_t descriptors, size_t shards, size_t wanted_indexes);

}  // namespace cmkstore::service
