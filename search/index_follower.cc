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
      rebuilder_(WorkerOptions{.name = "rebuilder", .max_queued = kMaxQueuedHubs, .nice = kNice}),
      worker_(WorkerOptions{.name = "indexer",
                            .threads = options.threads,
                            .max_queued = kMaxQueuedHubs,
                            .nice = kNice}) {}

IndexFollower::~IndexFollower() { Stop(); }
void IndexFollower::Stop() {
  std::vector<HubUid> busy;
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
    for (const auto& [uid, hub] : hubs_) {
      if (hub.busy) busy.push_back(uid);
    }
  }
  for (const HubUid uid : busy) indexes_.Close(uid);
  worker_.Stop();
  rebuilder_.Stop();
}

bool IndexFollower::NeedsWork(const Hub& hub) const {
  return !hub.stopped && (hub.lost || !hub.known || hub.indexed < hub.target);
}

void IndexFollower::Start(HubUid uid, Hub& hub) {
  if (hub.busy) return;
  hub.busy = hub.lost ? rebuilder_.TryRun([this, uid] { TurnOfLost(uid); })
                      : worker_.TryRun([this, uid] { Turn(uid); });
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
  hub.gone = false;
  hub.told = true;
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
  resting_.erase(uid);
  const auto [hub, unheard] = hubs_.try_emplace(uid);
  hub->second.told = true;
  // What was refused, for a deleted hub or by a vault for a moment, is not any more.
  const bool was_stopped = std::exchange(hub->second.stopped, false);
  if (was_stopped) hub->second.failure = absl::OkStatus();
  if (unheard || was_stopped) unseen_.push_back(uid);
}

void IndexFollower::Rest(HubUid uid) {
  absl::MutexLock lock(&mutex_);
  resting_.insert(uid);
}

void IndexFollower::CloseResting(const absl::flat_hash_set<HubUid>& hubs) {
  for (const HubUid uid : hubs) {
    if (!indexes_.CloseUnused(uid)) Rest(uid);
  }
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

std::optional<absl::Duration> IndexFollower::NextTryOf(HubUid uid) const {
  absl::MutexLock lock(&mutex_);
  const auto found = hubs_.find(uid);
  if (found == hubs_.end() || found->second.stopped) return std::nullopt;
  return std::max(absl::ZeroDuration(), found->second.not_before - clock_.MonotonicNow());
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
  // Closing waits for the disk.
  if (!resting_.empty() && worker_.TryRun([this, hubs = resting_] { CloseResting(hubs); })) {
    resting_.clear();
  }
  for (size_t i = 0; i < options_.looks_per_tick && !unseen_.empty(); ++i) {
    const HubUid uid = unseen_.front();
    unseen_.pop_front();
    if (const auto hub = hubs_.find(uid); hub != hubs_.end()) StartWhenDue(uid, hub->second);
  }
}

void IndexFollower::Destroy(HubUid uid) {
  indexes_.Destroy(uid);
  absl::MutexLock lock(&mutex_);
  due_.erase(uid);
  const auto hub = hubs_.find(uid);
  if (hub == hubs_.end()) return;
  if (hub->second.busy) {
    hub->second.gone = true;
  } else {
    hubs_.erase(hub);
  }
}

void IndexFollower::MarkLost(HubUid uid, const absl::Status& why) {
  const bool damaged = CauseOf(why) != kEarlierSchema;
  {
    absl::MutexLock lock(&mutex_);
    if (std::exchange(hubs_[uid].lost, true)) return;
    if (damaged) ++stats_.damaged;
  }
  Log(damaged ? LogLevel::kError : LogLevel::kInfo, damaged ? "index_lost" : "index_outdated",
      {{"hub_uid", uid.ToHex()},
       {"hub", source_.NameOf(uid)},
       {"detail", std::string(why.message())}});
}

void IndexFollower::Repair(HubUid uid, const absl::Status& why) {
  MarkLost(uid, why);
  absl::MutexLock lock(&mutex_);
  Hub& hub = hubs_[uid];
  hub.stopped = false;  // whoever found it damaged had its key
  StartWhenDue(uid, hub);
}

std::optional<uint64_t> IndexFollower::BeginTurn(HubUid uid) {
  absl::MutexLock lock(&mutex_);
  if (stopping_) return std::nullopt;
  Hub& hub = hubs_[uid];
  hub.told = false;
  return hub.swaps;
}

void IndexFollower::EndTurn(HubUid uid, uint64_t swaps, const absl::StatusOr<uint64_t>& indexed) {
  if (const absl::Status failure = Finish(uid, swaps, indexed); !failure.ok()) {
    Log(LogLevel::kWarning, "index_not_advancing",
        {{"hub_uid", uid.ToHex()},
         {"hub", source_.NameOf(uid)},
         {"reason", ReasonOf(failure)},
         {"detail", std::string(failure.message())}});
  }
  advanced_(uid);
}

void IndexFollower::Turn(HubUid uid) {
  const std::optional<uint64_t> swaps = BeginTurn(uid);
  if (!swaps.has_value()) return;
  const absl::StatusOr<uint64_t> indexed = FollowOpenIndex(uid);
  if (HasReason(indexed.status(), "INDEX_CORRUPT")) {
    MarkLost(uid, indexed.status());
    if (rebuilder_.TryRun([this, uid] { TurnOfLost(uid); })) return;  // the turn goes on there
  }
  EndTurn(uid, *swaps, indexed);
}

void IndexFollower::TurnOfLost(HubUid uid) {
  const std::optional<uint64_t> swaps = BeginTurn(uid);
  if (!swaps.has_value()) return;
  const absl::Status rebuilt = RebuildLost(uid);
  EndTurn(uid, *swaps, rebuilt.ok() ? absl::StatusOr<uint64_t>(IndexedSequence(uid)) : rebuilt);
}

absl::Status IndexFollower::RebuildLost(HubUid uid) {
  // Somebody else's rebuild does as well, if it succeeds.
  if (indexes_.IsRebuilding(uid)) return StoreBusy();
  absl::Status rebuilt = Rebuild(uid, [this](uint64_t) {
    absl::MutexLock lock(&mutex_);
    return stopping_ ? ServerStopping() : absl::OkStatus();
  });
  return CauseOf(rebuilt) == kRebuildingAlready ? StoreBusy() : rebuilt;
}

absl::StatusOr<uint64_t> IndexFollower::FollowOpenIndex(HubUid uid) {
  CMK_ASSIGN_OR_RETURN(const std::shared_ptr<SqliteHubIndex> index, indexes_.Open(uid));
  return ApplyBatch(uid, *index);
}

absl::StatusOr<uint64_t> IndexFollower::ApplyBatch(HubUid uid, SqliteHubIndex& index) {
  FeedPlace place{index.indexed_sequence(), 0};
  do {
    CMK_ASSIGN_OR_RETURN(const ChangeBatch batch, source_.Read(uid, place, options_.batch));
    {
      // Whoever woke it may have known of less: a crash leaves commits that nobody told of.
      absl::MutexLock lock(&mutex_);
      Hub& hub = hubs_[uid];
      hub.target = std::max(hub.target, batch.hub_sequence);
      hub.skipped = batch.skipped;
    }
    // Only a store that was put back to an earlier state is behind: what it lost is in the index.
    if (batch.reached.sequence < place.sequence) {
      return IndexCorrupt("it is ahead of its documents");
    }
    if (batch.reached == place) break;
    // In the middle of a commit the sequence stays: who is cut off there begins with it again.
    CMK_RETURN_IF_ERROR(index.Apply(batch.changes, batch.reached.sequence));
    place = batch.reached;
    absl::MutexLock lock(&mutex_);
    stats_.applied += batch.changes.size();
  } while (place.told > 0);
  return place.sequence;
}

absl::Status IndexFollower::Finish(HubUid uid, uint64_t swaps,
                                   const absl::StatusOr<uint64_t>& indexed) {
  absl::MutexLock lock(&mutex_);
  Hub& hub = hubs_[uid];
  hub.busy = false;
  if (stopping_) return absl::OkStatus();  // it may be what cut the turn off
  if (hub.gone) {
    hubs_.erase(uid);
    return absl::OkStatus();
  }
  if (hub.swaps != swaps) {
    // What the turn did to the index before says nothing of the one that serves now.
    StartWhenDue(uid, hub);
    return absl::OkStatus();
  }
  hub.failure = indexed.status();
  if (indexed.ok()) {
    hub.indexed = *indexed;
    hub.known = true;
    hub.pause = absl::ZeroDuration();
    const bool gathers =
        hub.indexed >= hub.wanted && hub.target < hub.indexed + options_.batch && !hub.lost;
    hub.not_before = gathers ? clock_.MonotonicNow() + options_.refresh : absl::InfinitePast();
    StartWhenDue(uid, hub);
    return absl::OkStatus();
  }
  ++stats_.failures;
  // What the turn was refused may not be refused any more by now: it is tried once more.
  hub.stopped = IsRefusal(indexed.status()) && !hub.told;
  hub.pause = std::clamp(hub.pause * 2, options_.retry_after, options_.retry_at_most);
  hub.not_before = hub.stopped ? absl::InfinitePast() : clock_.MonotonicNow() + hub.pause;
  if (!hub.stopped) due_[uid] = hub.not_before;
  return hub.failure;
}

absl::Status IndexFollower::Fill(HubUid uid, SqliteHubIndex& fresh,
                                 const std::function<absl::Status(uint64_t)>& progress) {
  // What is written after this is in the feed after it, and applied once more.
  CMK_ASSIGN_OR_RETURN(const uint64_t begun, source_.LastSequence(uid));
  uint64_t documents = 0;
  std::string cursor;
  do {
    CMK_ASSIGN_OR_RETURN(SnapshotPage page, source_.Snapshot(uid, cursor, options_.batch));
    // Only the last transaction says that the index is whole up to the sequence.
    CMK_RETURN_IF_ERROR(fresh.Apply(page.documents, page.next_cursor.empty() ? begun : 0));
    documents += page.documents.size();
    CMK_RETURN_IF_ERROR(progress(documents));
    cursor = std::move(page.next_cursor);
  } while (!cursor.empty());
  // Who has found a write in the old index shall find it in the new one.
  CMK_ASSIGN_OR_RETURN(const uint64_t ended, source_.LastSequence(uid));
  while (fresh.indexed_sequence() < ended) {
    CMK_RETURN_IF_ERROR(ApplyBatch(uid, fresh).status());
    CMK_RETURN_IF_ERROR(progress(documents));
  }
  return absl::OkStatus();
}

absl::Status IndexFollower::Rebuild(HubUid uid,
                                    const std::function<absl::Status(uint64_t)>& progress) {
  {
    absl::MutexLock lock(&mutex_);
    ++stats_.rebuilds;
  }
  uint64_t sequence = 0;
  CMK_RETURN_IF_ERROR(indexes_.Rebuild(uid, [&](SqliteHubIndex& fresh) -> absl::Status {
    CMK_RETURN_IF_ERROR(Fill(uid, fresh, progress));
    sequence = fresh.indexed_sequence();
    return absl::OkStatus();
  }));
  Log(LogLevel::kInfo, "index_rebuilt", {{"hub_uid", uid.ToHex()}, {"hub", source_.NameOf(uid)}});
  {
    absl::MutexLock lock(&mutex_);
    Hub& hub = hubs_[uid];
    ++hub.swaps;
    hub.indexed = sequence;
    hub.target = std::max(hub.target, sequence);
    hub.known = true;
    hub.stopped = hub.lost = false;
    hub.failure = absl::OkStatus();
    hub.pause = absl::ZeroDuration();
    hub.not_before = absl::InfinitePast();
    StartWhenDue(uid, hub);
  }
  advanced_(uid);
  return absl::OkStatus();
}

IndexFollowerStats IndexFollower::Stats() const {
  absl::MutexLock lock(&mutex_);
  IndexFollowerStats stats = stats_;
  stats.hubs = hubs_.size();
  for (const auto& [uid, hub] : hubs_) {
    stats.seen += hub.known ? 1 : 0;
    stats.behind += hub.indexed < hub.target ? 1 : 0;
    stats.stopped += hub.stopped ? 1 : 0;
    if (hub.stopped || hub.indexed >= hub.target) continue;
    const uint64_t numbers = hub.target - hub.indexed;
    stats.lag += hub.known ? numbers - std::min(numbers, hub.skipped) : 1;
  }
  return stats;
}

}  // namespace cmkstore::search
