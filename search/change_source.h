#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/ids.h"
#include "crypto/secret_bytes.h"
#include "search/hub_index.h"

namespace cmkstore::search {

// How far a reader of the feed has come: all commits up to a sequence, and so many changes of the
// next one.
struct FeedPlace {
  uint64_t sequence = 0;
  int told = 0;
  bool operator==(const FeedPlace&) const = default;
};

struct ChangeBatch {
  std::vector<IndexChange> changes;  // oldest first
  FeedPlace reached;                 // what is before it is in this batch or an earlier one
  uint64_t hub_sequence = 0;         // of the hub's last commit when the batch was read
  uint64_t skipped = 0;              // numbers behind where it was read from that no commit has
};

struct SnapshotPage {
  std::vector<IndexChange> documents;
  std::string next_cursor;  // empty: this was the last page
};

// Where an index gets its key and its documents: the change feed and the documents of a hub, opened
// with its keys. Implemented over the store by an adapter in service/.
//
// Thread-safe. Blocking (disk, and the key cache, which may ask the vault).
//
// Errors: those of the key cache (CUSTOMER_KEY_REVOKED, HUB_LOCKED, VAULT_UNREACHABLE …) and of the
// store; HUB_NOT_FOUND. A document that does not open is given as unreadable: it is no error, for
// it must not keep all others from being found.
class ChangeSource {
 public:
  virtual ~ChangeSource() = default;

  virtual absl::StatusOr<std::shared_ptr<const crypto::SecretBytes>> IndexKey(HubUid hub) = 0;
  // At most about `limit` changes behind `after`, each with the document's state of now. A commit
  // with too much content for one batch is given in several. A place reached before `after` says
  // that the hub has no such commit.
  virtual absl::StatusOr<ChangeBatch> Read(HubUid hub, FeedPlace after, size_t limit) = 0;
  // Sequence of the hub's last commit.
  virtual absl::StatusOr<uint64_t> LastSequence(HubUid hub) = 0;
  // Documents of the hub from `cursor` (empty: from the first). Pages are not of one moment: the
  // reader asks LastSequence first and applies the changes after it.
  virtual absl::StatusOr<SnapshotPage> Snapshot(HubUid hub, const std::string& cursor,
                                                size_t limit) = 0;
  // The hub's public name, for the log; empty when it is not known.
  virtual std::string NameOf(HubUid hub) = 0;
};

}  // namespace cmkstore::search
