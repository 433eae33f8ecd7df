#pragma once

#include "search/change_source.h"
#include "service/hub_access.h"
#include "service/unreadable_rows.h"
#include "store/documents_table.h"
#include "store/engine.h"

namespace cmkstore::service {

// The index's view of the store: a hub's index key, its change feed and its documents, opened with
// the hub's keys and refused where a Get would be. Thread-safe, blocking.
class IndexSource final : public search::ChangeSource {
 public:
  IndexSource(HubAccess& hubs, store::Engine& engine, UnreadableRows& unreadable, Clock& clock)
      : hubs_(hubs), engine_(engine), unreadable_(unreadable), clock_(clock) {}

  absl::StatusOr<std::shared_ptr<const crypto::SecretBytes>> IndexKey(HubUid hub) override;
  absl::StatusOr<search::ChangeBatch> Read(HubUid hub, search::FeedPlace after,
                                           size_t limit) override;
  absl::StatusOr<uint64_t> LastSequence(HubUid hub) override;
  absl::StatusOr<search::SnapshotPage> Snapshot(HubUid hub, const std::string& cursor,
                                                size_t limit) override;
  std::string NameOf(HubUid hub) override { return hubs_.directory().NameOf(hub); }

 private:
  absl::StatusOr<OpenHub> Open(HubUid hub);
  // Nothing when the document or its project is gone.
  absl::StatusOr<std::optional<search::IndexedDocument>> ReadDocument(
      const OpenHub& hub, const store::DocumentKey& key);
  // The document's state of now: there, gone, or there and unreadable.
  absl::StatusOr<search::IndexChange> StateOf(const OpenHub& hub, const store::DocumentKey& key);
  // What a change of the feed means to the index; nothing for one that is of no document.
  absl::StatusOr<std::optional<search::IndexChange>> ToChange(
      const OpenHub& hub, const storage::v1::FeedChange& change);

  HubAccess& hubs_;
  store::Engine& engine_;
  UnreadableRows& unreadable_;
  Clock& clock_;
};

}  // namespace cmkstore::service
