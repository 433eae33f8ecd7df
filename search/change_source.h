#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/ids.h"
#include "crypto/secret_bytes.h"
#include "search/hub_index.h"

namespace cmkstore::search {

struct ChangeBatch {
  std::vector<IndexChange> changes;  // at most one per key matters: the newest state wins
  // Every change up to here is in this batch or an earlier one; `after_sequence` when there is
  // none.
  uint64_t last_sequence = 0;
  // Changes after `after_sequence` are no longer all in the feed: only a rebuild helps.
  bool gap = false;
};

struct SnapshotPage {
  std::vector<IndexedDocument> documents;
  std::string next_cursor;  // empty: this was the last page
};

// Where an index gets its documents: the change feed and the documents of a hub, opened with its
// keys.
//
// Thread-safe. Blocking (disk, and the key cache, which may ask the vault).
//
// Errors: those of the key cache (CUSTOMER_KEY_REVOKED, HUB_LOCKED, VAULT_UNREACHABLE …) and of the
// store. A document that does not open fails the call with DOCUMENT_CORRUPT.
class ChangeSource {
 public:
  virtual ~ChangeSource() = default;

  // The key that seals the hub's index.
  virtual absl::StatusOr<crypto::SecretBytes> IndexKey(HubUid hub) = 0;
  // At most `limit` changes after `after_sequence`, oldest first, each with the document's state of
  // now or of then.
  virtual absl::StatusOr<ChangeBatch> Read(HubUid hub, uint64_t after_sequence, size_t limit) = 0;
  // Sequence of the hub's last commit.
  virtual absl::StatusOr<uint64_t> LastSequence(HubUid hub) = 0;
  // Documents of the hub from `cursor` (empty: from the first). Pages need not be of one moment:
  // the reader asks LastSequence first and applies the changes after it.
  virtual absl::StatusOr<SnapshotPage> Snapshot(HubUid hub, const std::string& cursor,
                                                size_t limit) = 0;
};

}  // namespace cmkstore::search
