#pragma once

#include <cstddef>
#include <vector>

#include "absl/status/statusor.h"
#include "cmkstore/storage/v1/records.pb.h"
#include "store/engine.h"

namespace cmkstore::store {

// What one commit changed.
struct FeedEntry {
  Sequence sequence = 0;
  storage::v1::FeedRecord record;
};

// The change feed of a hub: one entry for each commit that changed a document or a project, under
// the commit's sequence. The engine writes it with the commit; the index follows it, watches serve
// it.
//
// A handle: copy it freely; the engine must outlive it. Errors: those of Engine; STORE_CORRUPT.
class ChangeFeed {
 public:
  explicit ChangeFeed(const Engine& engine) : engine_(&engine) {}

  // At most `limit` entries behind `sequence`, oldest first.
  absl::StatusOr<std::vector<FeedEntry>> ReadAfter(const Partition& partition, Sequence sequence,
                                                   ReadLimit limit) const;
  // Numbers above `sequence`, up to the hub's last one, that no commit has: those that restores
  // have left out.
  absl::StatusOr<uint64_t> SkippedAfter(const Partition& partition, Sequence sequence) const;
  // Whether `sequence` is a place in this feed, of which `last` is the hub's last commit, and not
  // in that of before a restore.
  absl::StatusOr<bool> Has(const Partition& partition, Sequence sequence, Sequence last) const;
  static void Append(WriteSet& writes, const storage::v1::FeedRecord& record) {
    writes.SetFeedRecord(record.SerializeAsString());
  }

 private:
  const Engine* engine_;
};

}  // namespace cmkstore::store
