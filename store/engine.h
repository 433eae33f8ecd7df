#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "store/partition.h"
#include "store/write_set.h"

namespace cmkstore::store {

// Number of a committed Apply within its partition: 1, 2, 3 … without gaps but those that a restore
// leaves (SkipSequences of shard_copy.h).
using Sequence = uint64_t;

struct KeyRange {
  std::string begin;  // first key wanted, without the partition's prefix
  std::string end;    // first key not wanted; must be set
};

struct Row {
  std::string key;  // without the partition's prefix
  std::string value;
};

// Rows as far as they can be read.
struct ReadableRows {
  std::vector<Row> rows;
  // Set: behind these rows something is damaged, and this is the key from which reading goes on;
  // the range's end: nothing of it is left. Longer than the key of a document.
  std::optional<std::string> behind_damage;
};

// Where a read of many rows ends: at a number of them, or with the one by which their values have
// come to so many bytes, whichever is first.
struct ReadLimit {
  // NOLINTNEXTLINE(google-explicit-constructor): a number alone is one of rows.
  ReadLimit(size_t at_most, size_t enough = std::numeric_limits<size_t>::max())
      : rows(at_most), bytes(enough) {}
  size_t rows;
  size_t bytes;
};

// An ordered key-value engine partitioned by hub: all that the rest of the system asks of storage.
//
// OK from Get with nullopt means "absent". OK from Apply means atomic, durable and linearizable
// within the partition; any error means that nothing was written. One exception: when the disk
// failed (STORE_FULL, STORE_BUSY) and the process dies before the disk is back, the next start may
// find the refused writes done, whole.
//
// Thread-safe. Get and Scan run on the caller's thread and may read the disk; Apply never does: it
// enqueues and returns, and `done` runs once, on a thread of the engine, which it must not block.
// Only what cannot be enqueued (no room, no such shard) is answered before Apply returns.
//
// Errors: STORE_BUSY (queue full), STORE_FULL, STORE_CORRUPT, INVARIANT (no such shard); from Apply
// also whatever a failed precondition was given as its error.
class Engine {
 public:
  using Done = std::function<void(absl::StatusOr<Sequence>)>;

  virtual ~Engine() = default;

  virtual uint32_t shard_count() const = 0;
  virtual absl::StatusOr<std::optional<std::string>> Get(const Partition& partition,
                                                         absl::string_view key) const = 0;
  // Answers in the order of `keys`; one snapshot. Fewer than keys, one at least, when their values
  // are more than `enough_bytes`: no value behind that is read.
  virtual absl::StatusOr<std::vector<std::optional<std::string>>> MultiGet(
      const Partition& partition, const std::vector<std::string>& keys,
      size_t enough_bytes) const = 0;
  // Rows of the range in key order, up to the limit; one snapshot.
  virtual absl::StatusOr<std::vector<Row>> Scan(const Partition& partition, const KeyRange& range,
                                                ReadLimit limit) const = 0;
  // As Scan, which fails where a row of the range is damaged before the limit is reached; this
  // gives those before it, and where to go on. For whoever tells of what is left out.
  virtual absl::StatusOr<ReadableRows> ScanReadable(const Partition& partition,
                                                    const KeyRange& range, ReadLimit limit) const {
    absl::StatusOr<std::vector<Row>> rows = Scan(partition, range, limit);
    if (!rows.ok()) return rows.status();
    return ReadableRows{*std::move(rows), std::nullopt};
  }
  virtual void Apply(const Partition& partition, WriteSet writes, Done done) = 0;
  // Last committed sequence; 0 when the partition has never been written.
  virtual absl::StatusOr<Sequence> LastSequence(const Partition& partition) const = 0;
  // Removes every row of the partition, after all that was enqueued before, and gives its space
  // back; a later Apply starts again at sequence 1. Durable when it returns. Blocking; not to be
  // called from a `done`.
  virtual absl::Status DropPartition(const Partition& partition) = 0;
};

}  // namespace cmkstore::store
