#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"

namespace cmkstore::store {

// A number beside a shard that says how far its acknowledged writes go. RocksDB stops quietly at
// the first bad record of its write-ahead log; this file makes that loud: a shard that opens below
// its high water has lost acknowledged writes.
//
// Written after each synced commit, without a sync of its own, so it never claims more than is
// durable. Not thread-safe: the commit thread owns it.
class HighWater {
 public:
  // `make`: of a shard without writes; of any other the file must be there. Errors: STORE_CORRUPT
  // when it is not, or cannot be opened.
  static absl::StatusOr<HighWater> Open(const std::string& path, bool make);
  HighWater(HighWater&& other) noexcept;
  HighWater& operator=(HighWater&&) = delete;
  ~HighWater();

  // The larger of the two slots whose checksum holds; 0 if neither does.
  uint64_t Read() const;
  void Write(uint64_t value);

 private:
  explicit HighWater(int file) : file_(file) {}
  int file_;
  unsigned slot_ = 0;
};

}  // namespace cmkstore::store
