#include "search/index_follower.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "base/errors.h"
#include "base/log.h"
#include "base/status_macros.h"

namespace cmkstore::search {
namespace {

constexpr size_t kMaxQueuedHubs = 1'000'000;
// Under load the indexes fall behind before calls do; a tenth of a busy processor is left to them.
constexpr int kNice = 10;

// The hub's keys are not ours to use, or the hub is gone: nothing to try again by ourselves.
bool IsRefusal(const absl::Status& status) {
  return HasReason(status, "CUSTOMER_KEY_REVOKED") || HasReason(status, "HUB_LOCKED") ||
         HasReason(status, "HUB_NOT_FOUND") || HasReason(status, "STATE_INVALID");
}

}  // namespace

IndexFollower::IndexFollower(IndexFollowerOptions options, IndexSet& indexes, ChangeSource& source,
                             Clock& clock, std::function<void(HubUid)> advanced)
    : options_(options),
      indexes_(indexes),
      source_(source),
      clock_(clock),
      advanced_(std::move(advanced)),
      worker_(WorkerOptions{.name = "indexer",
                            .threads = options.threads,
                            .max_queued = kMaxQueuedHubs,
                            .nice = kNice}) {}

IndexFollower::~IndexFollower() { Stop(); }
void IndexFollower::Stop() {
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
  }
  worker_.Stop();
}

bool IndexFollower::NeedsWork(const Hub& hub) const {
  return !hub.stopped && (hub.lost || !hub.known || hub.indexed < hub.target);
}

void IndexFollower::Start(HubUid uid, Hub& hub) {
  if (!hub.busy) hub.busy = worker_.TryRun([this, uid] { Turn(uid); });
}

void IndexFollower::StartWhenDue(HubUid uid, Hub& hub) {
  if (hub.busy || !NeedsWork(hub)) return;
  if (clock_.MonotonicNow() >= hub.not_before) {
    Start(uid, hub);
  } else {
    due_[uid] = hub.not_before;
  }
}

void IndexFollower::Committed(HubUid uid, Hub& hub, uint64_t sequence) {
  hub.target = std::max(hub.target, sequence);
  if (std::exchange(hub.stopped, false)) hub.failure = absl::OkStatus();
  StartWhenDue(uid, hub);
}

void IndexFollower::Notify(HubUid uid, uint64_t sequence) {
  absl::MutexLock lock(&mutex_);
  Committed(uid, hubs_[uid], sequence);
}

void IndexFollower::LookAt(HubUid uid) {
  absl::MutexLock lock(&mutex_);
  if (const auto [hub, unheard] = hubs_.try_emplace(uid); unheard) unseen_.push_back(uid);
}

void IndexFollower::Hurry(HubUid uid, uint64_t sequence) {
  absl::MutexLock lock(&mutex_);
  Hub& hub = hubs_[uid];
  hub.wanted = std::max(hub.wanted, sequence);
  // Only the pause of one that fails stays.
  if (hub.pause == absl::ZeroDuration()) hub.not_before = absl::InfinitePast();
  Committed(uid, hub, sequence);
}

uint64_t IndexFollower::IndexedSequence(HubUid uid) const {
  absl::MutexLock lock(&mutex_);
  const auto found = hubs_.find(uid);
  return found == hubs_.end() ? 0 : found->second.indexed;
}

absl::Status IndexFollower::FailureOf(HubUid uid) const {
  absl::MutexLock lock(&mutex_);
  const auto found = hubs_.find(uid);
  return found == hubs_.end() ? absl::OkStatus() : found->second.failure;
}

void IndexFollower::Tick() {
  absl::MutexLock lock(&mutex_);
  const absl::Time now = clock_.MonotonicNow();
  for (auto next = due_.begin(); next != due_.end();) {
    const auto current = next++;
    if (now < current->second) continue;
    Hub& hub = hubs_[current->first];
    if (NeedsWork(hub)) Start(current->first, hub);
    due_.erase(current);
  }
  for (size_t i = 0; i < options_.looks_per_tick && !unseen_.empty(); ++i) {
    const HubUid uid = unseen_.front();
    unseen_.pop_front();
    StartWhenDue(uid, hubs_[uid]);
  }
}

void IndexFollower::Repair(HubUid uid) {
  absl::MutexLock lock(&mutex_);
  Hub& hub = hubs_[uid];
  hub.lost = true;
  if (clock_.MonotonicNow() >= hub.not_before) Start(uid, hub);
}

void IndexFollower::Turn(HubUid uid) {
  bool lost = false;
  {
    absl::MutexLock lock(&mutex_);
    if (stopping_) return;
    lost = std::exchange(hubs_[uid].lost, false);
  }
  absl::StatusOr<uint64_t> indexed =
      lost ? absl::StatusOr<uint64_t>(IndexCorrupt("it was found damaged")) : ApplyBatch(uid);
  if (HasReason(indexed.status(), "INDEX_CORRUPT")) indexed = RebuildLost(uid);
  Finish(uid, indexed);
  if (!indexed.ok()) {
    Log(LogLevel::kWarning, "index_not_advancing",
        {{"hub_uid", uid.ToHex()},
         {"hub", source_.NameOf(uid)},
         {"reason", ReasonOf(indexed.status())}});
  }
  advanced_(uid);
}

absl::StatusOr<uint64_t> IndexFollower::RebuildLost(HubUid uid) {
  Log(LogLevel::kError, "index_lost", {{"hub_uid", uid.ToHex()}, {"hub", source_.NameOf(uid)}});
  {
    absl::MutexLock lock(&mutex_);
    ++stats_.damaged;
  }
  CMK_RETURN_IF_ERROR(Rebuild(uid, [](uint64_t) { return absl::OkStatus(); }));
  return IndexedSequence(uid);
}

absl::StatusOr<uint64_t> IndexFollower::ApplyBatch(HubUid uid) {
  CMK_ASSIGN_OR_RETURN(const std::shared_ptr<SqliteHubIndex> index, indexes_.Open(uid));
  const uint64_t from = index->indexed_sequence();
  CMK_ASSIGN_OR_RETURN(const ChangeBatch batch, source_.Read(uid, from, options_.batch));
  {
    // Whoever woke it may have known of less: a crash leaves commits that nobody told of.
    absl::MutexLock lock(&mutex_);
    Hub& hub = hubs_[uid];
    hub.target = std::max(hub.target, batch.hub_sequence);
  }
  // Only a store that was put back to an earlier state is behind: what it lost is in the index.
  if (batch.last_sequence < from) return IndexCorrupt("it is ahead of its documents");
  if (batch.last_sequence == from) return from;
  CMK_RETURN_IF_ERROR(index->Apply(batch.changes, batch.last_sequence));
  absl::MutexLock lock(&mutex_);
  stats_.applied += batch.changes.size();
  return batch.last_sequence;
}

void IndexFollower::Finish(HubUid uid, const absl::StatusOr<uint64_t>& indexed) {
  absl::MutexLock lock(&mutex_);
  Hub& hub = hubs_[uid];
  hub.busy = false;
  hub.failure = indexed.status();
  if (indexed.ok()) {
    hub.indexed = *indexed;
    hub.known = true;
    hub.pause = absl::ZeroDuration();
    const bool gathers =
        hub.indexed >= hub.wanted && hub.target < hub.indexed + options_.batch && !hub.lost;
    hub.not_before = gathers ? clock_.MonotonicNow() + options_.refresh : absl::InfinitePast();
    StartWhenDue(uid, hub);
    return;
  }
  ++stats_.failures;
  hub.stopped = IsRefusal(indexed.status());
  hub.pause = std::clamp(hub.pause * 2, options_.retry_after, options_.retry_at_most);
  hub.not_before = hub.stopped ? absl::InfinitePast() : clock_.MonotonicNow() + hub.pause;
  if (!hub.stopped) due_[uid] = hub.not_before;
}

absl::Status IndexFollower::Rebuild(HubUid uid,
                                    const std::function<absl::Status(uint64_t)>& progress) {
  {
    absl::MutexLock lock(&mutex_);
    ++stats_.rebuilds;
  }
  uint64_t sequence = 0;
  const absl::Status status = indexes_.Rebuild(uid, [&](SqliteHubIndex& fresh) -> absl::Status {
    // What is written after this is in the feed after it, and applied once more.
    CMK_ASSIGN_OR_RETURN(sequence, source_.LastSequence(uid));
    uint64_t documents = 0;
    std::string cursor;
    do {
      CMK_ASSIGN_OR_RETURN(SnapshotPage page, source_.Snapshot(uid, cursor, options_.batch));
      // Only the last transaction says that the index is whole up to the sequence.
      const uint64_t reached = page.next_cursor.empty() ? sequence : 0;
      CMK_RETURN_IF_ERROR(fresh.Apply(page.documents, reached));
      documents += page.documents.size();
      CMK_RETURN_IF_ERROR(progress(documents));
      cursor = std::move(page.next_cursor);
    } while (!cursor.empty());
    return absl::OkStatus();
  });
  CMK_RETURN_IF_ERROR(status);
  Log(LogLevel::kInfo, "index_rebuilt", {{"hub_uid", uid.ToHex()}, {"hub", source_.NameOf(uid)}});
  absl::MutexLock lock(&mutex_);
  Hub& hub = hubs_[uid];
  hub.indexed = sequence;
  hub.known = true;
  hub.target = std::max(hub.target, sequence);
  hub.stopped = false;
  if (NeedsWork(hub)) Start(uid, hub);
  return absl::OkStatus();
}

IndexFollowerStats IndexFollower::Stats() const {
  absl::MutexLock lock(&mutex_);
  IndexFollowerStats stats = stats_;
  for (const auto& [uid, hub] : hubs_) {
    stats.behind += hub.indexed < hub.target ? 1 : 0;
    stats.stopped += hub.stopped ? 1 : 0;
    if (!hub.stopped && hub.indexed < hub.target) stats.lag += hub.target - hub.indexed;
  }
  return stats;
}

}  // namespace cmkstore::search
