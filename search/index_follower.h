#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/ids.h"
#include "base/worker.h"
#include "search/change_source.h"
#include "search/index_set.h"

namespace cmkstore::search {

struct IndexFollowerOptions {
  size_t threads = 2;
  size_t batch = 500;                                // changes per transaction
  size_t max_batch_bytes = 8 << 20;                  // of document content, per transaction
  absl::Duration retry_after = absl::Seconds(1);     // after a failure that may pass, doubling
  absl::Duration retry_at_most = absl::Seconds(60);  // … up to this
};

struct IndexFollowerStats {
  size_t dirty = 0;           // hubs with changes to apply
  size_t stopped = 0;         // hubs whose key was refused
  uint64_t applied = 0;       // changes since start
  uint64_t rebuilds = 0;      // since start
  uint64_t failures = 0;      // since start
  uint64_t greatest_lag = 0;  // sequences, over the hubs that are behind now
};

// Keeps the indexes level with the change feed, in the background.
//
// A hub is worked on by one thread at a time, in turns of one batch. INDEX_CORRUPT and a gap in the
// feed start a rebuild from a snapshot. A refused key (CUSTOMER_KEY_REVOKED, HUB_LOCKED) closes the
// index and stops the hub until Notify or Resume; any other failure is tried again after a growing
// pause.
//
// Thread-safe. Notify never blocks. `indexes`, `source` and `clock` must outlive this.
//
// Log: hub uid, reason and counts; never a document.
class IndexFollower {
 public:
  IndexFollower(IndexFollowerOptions options, IndexSet& indexes, ChangeSource& source,
                Clock& clock);
  ~IndexFollower();
  IndexFollower(const IndexFollower&) = delete;
  IndexFollower& operator=(const IndexFollower&) = delete;

  // The hub has committed `sequence`. Called on every commit: a map lookup, and a wake-up if it was
  // idle.
  void Notify(HubUid hub, uint64_t sequence);
  // Catch up from the feed now, however far it is; also ends the pause after a refusal or failure.
  void Resume(HubUid hub);
  // The hub is gone, or its key is: drops the work that waits. Does not close the index.
  void Forget(HubUid hub);
  // Blocks until changes up to `sequence` are searchable. Errors: DEADLINE_EXCEEDED (`deadline` is
  // of MonotonicNow), or why the hub does not advance.
  absl::Status WaitForSequence(HubUid hub, uint64_t sequence, absl::Time deadline);
  // Rebuilds the hub's index from a snapshot, beside the one that serves, and swaps. Blocking, on
  // the caller's thread.
  absl::Status Rebuild(HubUid hub);
  // Blocks until no hub has work that can be done now.
  void Drain();

  IndexFollowerStats Stats() const;
  void Stop();

 private:
  struct Hub {
    uint64_t target = 0;   // last sequence known to be committed
    uint64_t indexed = 0;  // last sequence known to be searchable
    bool resume = false;   // look at the feed, whatever target says
    bool queued = false;   // on the worker's queue, or being worked on
    bool busy = false;     // a thread applies or rebuilds
    bool stopped = false;  // key refused
    absl::Duration pause = absl::ZeroDuration();
    absl::Time not_before = absl::InfinitePast();
    absl::Status failure;
  };

  bool NeedsWork(const Hub& hub) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Enqueue(HubUid uid, Hub& hub) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Loop();
  bool TakeNext(HubUid* uid) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Turn(HubUid uid);
  absl::StatusOr<uint64_t> ApplyBatch(HubUid uid, bool* more);
  absl::Status RebuildFromSnapshot(HubUid uid);
  void Finish(HubUid uid, const absl::StatusOr<uint64_t>& outcome, bool more);
  void TakeFailure(HubUid uid, Hub& hub, const absl::Status& failure)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const IndexFollowerOptions options_;
  IndexSet& indexes_;
  ChangeSource& source_;
  Clock& clock_;
  mutable absl::Mutex mutex_;
  absl::flat_hash_map<HubUid, Hub> hubs_ ABSL_GUARDED_BY(mutex_);
  IndexFollowerStats stats_ ABSL_GUARDED_BY(mutex_);
  bool stop_ ABSL_GUARDED_BY(mutex_) = false;
  Worker worker_;
};

}  // namespace cmkstore::search
