#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
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
  size_t batch = 256;  // changes per transaction, for whose time searches of the hub wait
  // How long a hub that was just worked on gathers changes, fewer than a batch, unless a search
  // waits for them. One transaction of many documents costs far less than many of few.
  absl::Duration refresh = absl::Milliseconds(200);
  absl::Duration retry_after = absl::Seconds(1);  // after a failure that may pass, doubling
  absl::Duration retry_at_most = absl::Seconds(60);
  // Hubs of LookAt that a Tick starts: after a restart, indexes of all that is used are opened at
  // this pace beside those that are written to.
  size_t looks_per_tick = 4;
};

struct IndexFollowerStats {
  size_t hubs = 0;     // that it has been told of, and not that they are gone
  size_t seen = 0;     // of those, whose index was looked at since the start
  size_t behind = 0;   // hubs with changes to apply
  size_t stopped = 0;  // hubs whose keys were refused
  // Changes not applied yet, over all hubs that are not stopped; 1 for one that was not looked at.
  uint64_t lag = 0;
  uint64_t applied = 0;   // changes since start
  uint64_t rebuilds = 0;  // begun since start, whoever asked
  uint64_t failures = 0;
  uint64_t damaged = 0;  // indexes that did not open and were given up
};

// Keeps the indexes level with the change feed, in the background.
//
// A hub is worked on by one thread at a time, in turns of one batch: at once when it was at rest,
// else after `refresh`. None is opened because the process starts: LookAt and Notify say which are
// in use. INDEX_CORRUPT starts a rebuild, one at a time on a thread of its own: it keeps no other
// hub from being followed. A refused key stops the hub until Notify or LookAt; any other failure
// is tried again after a growing pause.
//
// Thread-safe. Notify never blocks. `indexes`, `source` and `clock` must outlive this; Stop before
// they go.
//
// Log: the hub's uid and name, reason and counts; never a document.
class IndexFollower {
 public:
  // `advanced(hub)` runs on a thread of the follower each time a hub's index has moved or has
  // failed to.
  IndexFollower(IndexFollowerOptions options, IndexSet& indexes, ChangeSource& source, Clock& clock,
                std::function<void(HubUid)> advanced);
  ~IndexFollower();

  // The hub has committed `sequence`. Called on every commit: a map look-up, and a wake-up if the
  // hub was at rest.
  void Notify(HubUid hub, uint64_t sequence);
  // The hub's keys are at hand: its index, if this process has not looked at it yet or was refused
  // them, is looked at soon, and brought level with what a crash has left behind. A few at a time.
  void LookAt(HubUid hub);
  // The hub's keys are at hand no more: its index, which has a key and pages of its own, is closed
  // by the next Tick, or by the first one after who uses it now is done.
  void Rest(HubUid hub);
  // As Notify, when the index is wanted level with `sequence` now.
  void Hurry(HubUid hub, uint64_t sequence);
  // Sequence up to which the hub is known to be searchable; 0 until this process has looked.
  uint64_t IndexedSequence(HubUid hub) const;
  // Why the hub does not advance; OK when it does.
  absl::Status FailureOf(HubUid hub) const;
  // How long until a hub that does not advance is tried again; nullopt: it is not, by itself.
  std::optional<absl::Duration> NextTryOf(HubUid hub) const;
  // Rebuilds the hub's index from its documents, beside the one that serves, and swaps once it has
  // what was written meanwhile. Blocking, on the caller's thread. `progress(documents so far)` is
  // called now and then and ends the rebuild by an error. Errors: STATE_INVALID when a rebuild is
  // under way.
  absl::Status Rebuild(HubUid hub, const std::function<absl::Status(uint64_t)>& progress);
  // The hub's index cannot be opened, as `why` (INDEX_CORRUPT) says: rebuilds it in the background.
  void Repair(HubUid hub, const absl::Status& why);
  // The hub is gone: deletes the files of its index, and forgets it.
  void Destroy(HubUid hub);
  // Starts what is due again, after a pause; to be called about every 100 ms.
  void Tick();

  IndexFollowerStats Stats() const;
  // Closes the indexes that are worked on, which ends the turns; hubs in line, and what was cut
  // off, are left for the next start.
  void Stop();

 private:
  struct Hub {
    uint64_t target = 0;   // last sequence known to be committed
    uint64_t indexed = 0;  // last sequence known to be searchable
    uint64_t wanted = 0;   // a search waits for this sequence
    uint64_t skipped = 0;  // numbers behind `indexed` that no commit has
    bool known = false;    // `indexed` has been read from the index
    bool busy = false;     // queued, or being worked on
    bool stopped = false;  // key refused
    bool lost = false;     // cannot be opened, and is not rebuilt yet
    bool gone = false;     // to be forgotten when its turn ends
    bool told = false;     // since its turn began, that its keys are at hand, or of a commit
    uint64_t swaps = 0;    // times that another index took the place of the one before
    absl::Duration pause = absl::ZeroDuration();
    absl::Time not_before = absl::InfinitePast();
    absl::Status failure;
  };

  bool NeedsWork(const Hub& hub) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Start(HubUid uid, Hub& hub) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Starts it, or has Tick start it when its pause is over.
  void StartWhenDue(HubUid uid, Hub& hub) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Committed(HubUid uid, Hub& hub, uint64_t sequence) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void CloseResting(const absl::flat_hash_set<HubUid>& hubs);
  void Turn(HubUid uid);
  // Both return up to which sequence the index has come.
  absl::StatusOr<uint64_t> ApplyBatch(HubUid uid, SqliteHubIndex& index);
  absl::StatusOr<uint64_t> FollowOpenIndex(HubUid uid);
  absl::Status Fill(HubUid uid, SqliteHubIndex& fresh,
                    const std::function<absl::Status(uint64_t)>& progress);
  // The turn of a hub whose index is lost.
  void TurnOfLost(HubUid uid);
  absl::Status RebuildLost(HubUid uid);
  void MarkLost(HubUid uid, const absl::Status& why);
  // What a turn begins with: how often the hub's index has been swapped; nullopt when all stops.
  std::optional<uint64_t> BeginTurn(HubUid uid);
  // `swaps`: those of the hub when the turn began.
  void EndTurn(HubUid uid, uint64_t swaps, const absl::StatusOr<uint64_t>& indexed);
  // Returns why the hub does not advance, if so.
  absl::Status Finish(HubUid uid, uint64_t swaps, const absl::StatusOr<uint64_t>& indexed);

  const IndexFollowerOptions options_;
  IndexSet& indexes_;
  ChangeSource& source_;
  Clock& clock_;
  const std::function<void(HubUid)> advanced_;
  mutable absl::Mutex mutex_;
  absl::flat_hash_map<HubUid, Hub> hubs_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<HubUid, absl::Time> due_ ABSL_GUARDED_BY(mutex_);
  std::deque<HubUid> unseen_ ABSL_GUARDED_BY(mutex_);            // to be looked at
  absl::flat_hash_set<HubUid> resting_ ABSL_GUARDED_BY(mutex_);  // to be closed
  IndexFollowerStats stats_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  Worker rebuilder_, worker_;  // last: their threads use all of the above
};

}  // namespace cmkstore::search
