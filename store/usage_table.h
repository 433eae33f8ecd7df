#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "store/engine.h"

namespace cmkstore::store {

// On disk: the place of each number in a usage row; do not renumber.
enum class UsageCounter : size_t {
  kDocuments = 0,         // how many more (or fewer) there are
  kStoredBytes = 1,       // how many more bytes of their sealed rows
  kIndexBytes = 2,        // how many more bytes of index files
  kWriteCalls = 3,        // committed
  kDocumentsWritten = 4,  // put or deleted by them
  kReadCalls = 5,
  kDocumentsRead = 6,
  kListCalls = 7,
  kSearchCalls = 8,
  kWatchCalls = 9,
  kControlCalls = 10,
  kUnwraps = 11,
  kWraps = 12,
};
inline constexpr size_t kUsageCounters = 13;

struct UsageNumbers {
  std::array<int64_t, kUsageCounters> values{};

  int64_t& operator[](UsageCounter counter) { return values[static_cast<size_t>(counter)]; }
  int64_t operator[](UsageCounter counter) const { return values[static_cast<size_t>(counter)]; }
  bool IsZero() const { return values == decltype(values){}; }
  friend bool operator==(const UsageNumbers&, const UsageNumbers&) = default;
};

// What happened in one hour; hours are counted from 1970.
struct UsageHour {
  uint64_t hour = 0;
  UsageNumbers numbers;
};

// A hub's usage from some hour on, and the sums over all time, of one moment: what there was at the
// end of an hour is the sum over all time less the hours after it.
struct UsageSince {
  std::vector<UsageHour> hours;
  UsageNumbers totals;
};

// The usage rows of hubs: one per hour in which something happened, and the totals.
//
// A handle: copy it freely; the engine must outlive it. Errors: those of Engine; STORE_CORRUPT.
class UsageTable {
 public:
  explicit UsageTable(const Engine& engine) : engine_(&engine) {}

  // Adds to the hour and to the totals, in the commit that `writes` becomes.
  static void Add(WriteSet& writes, uint64_t hour, const UsageNumbers& more);

  // Reading may read the disk.
  absl::StatusOr<UsageSince> Since(const Partition& hub, uint64_t hour) const;
  absl::StatusOr<UsageNumbers> Totals(const Partition& hub) const;
  // Deletes at most `limit` hours before `hour`; whether there may be more. The totals stay.
  absl::StatusOr<bool> DeleteBefore(const Partition& hub, uint64_t hour, size_t limit,
                                    WriteSet& writes) const;

  // The same rows of a hub whose partition is gone, in the catalog.
  absl::StatusOr<UsageSince> SinceOfPurged(HubUid hub, uint64_t hour) const;
  // Copies them into a write set for the catalog of another store; the same when done again.
  absl::Status CopyOfPurged(HubUid hub, WriteSet& catalog) const;
  // Deletes them.
  absl::Status DeleteOfPurged(HubUid hub, WriteSet& catalog) const;
  // Copies all rows of a hub into a write set for the catalog; the same when done again.
  absl::Status CopyForPurge(const Partition& hub, HubUid uid, WriteSet& catalog) const;

 private:
  const Engine* engine_;
};

}  // namespace cmkstore::store
