#include "service/usage_meter.h"

#include <utility>

#include "absl/synchronization/blocking_counter.h"
#include "base/errors.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "store/tables.h"

namespace cmkstore::service {
namespace {

using Counter = store::UsageCounter;

constexpr size_t kHoursPerPrune = 500;
// Commits of one flush that wait at once: calls must find room beside them.
constexpr size_t kHubsAtOnce = 1000;

// A hub that was destroyed meanwhile must not get a row again.
absl::Status Gone() { return NotFound("hub"); }

}  // namespace

uint64_t HourOf(absl::Time time) { return static_cast<uint64_t>(absl::ToUnixSeconds(time)) / 3600; }

UsageMeter::UsageMeter(const UsageMeterOptions& options, store::Engine& engine, Clock& clock,
                       std::function<int64_t(HubUid)> index_bytes)
    : options_(options),
      engine_(engine),
      clock_(clock),
      index_bytes_(std::move(index_bytes)),
      counted_through_(clock.WallNow()),
      hour_(HourOf(clock.WallNow())),
      next_flush_(clock.MonotonicNow() + options.flush_interval) {}

std::shared_ptr<HubUsage> UsageMeter::Of(HubUid hub, const store::Partition& partition) {
  absl::MutexLock lock(&mutex_);
  std::shared_ptr<HubUsage>& usage = hubs_[hub];
  if (usage == nullptr) usage = std::make_shared<HubUsage>(hub, partition);
  return usage;
}

void UsageMeter::Tick() {
  const uint64_t hour = HourOf(clock_.WallNow());
  if (hour == hour_ && clock_.MonotonicNow() < next_flush_) return;
  // Not taken while the last flush still runs: the next tick tries again.
  const bool taken = worker_.TryRun([this, counted = hour_] {
    if (const absl::Status flushed = FlushInto(counted); !flushed.ok()) {
      Log(LogLevel::kWarning, "usage_flush_failed", {{"reason", ReasonOf(flushed)}});
    }
  });
  if (!taken) return;
  hour_ = hour;
  next_flush_ = clock_.MonotonicNow() + options_.flush_interval;
}

absl::Status UsageMeter::Flush() { return FlushInto(HourOf(clock_.WallNow())); }

store::UsageNumbers UsageMeter::Take(HubUsage& hub, uint64_t hour, store::WriteSet& writes) {
  store::UsageNumbers more;
  for (size_t i = 0; i < store::kUsageCounters; ++i) {
    std::atomic<int64_t>& count = hub.counts_[i];
    if (count.load(std::memory_order_relaxed) != 0) {
      more.values[i] = count.exchange(0, std::memory_order_relaxed);
    }
  }
  const store::UsageTable table(engine_);
  if (hub.looks_.load(std::memory_order_relaxed) > 0) {
    hub.looks_.fetch_sub(1, std::memory_order_relaxed);
    // This thread alone writes the size, so nobody adds between the two.
    if (const auto totals = table.Totals(hub.partition_); totals.ok()) {
      more[Counter::kIndexBytes] += index_bytes_(hub.uid_) - (*totals)[Counter::kIndexBytes];
    }
  }
  const uint64_t kept = static_cast<uint64_t>(absl::ToInt64Hours(options_.retention));
  if (const uint64_t day = hour / 24; !more.IsZero() && day != hub.pruned_day_ && hour > kept) {
    const auto more_to_do = table.DeleteBefore(hub.partition_, hour - kept, kHoursPerPrune, writes);
    if (more_to_do.ok() && !*more_to_do) hub.pruned_day_ = day;
  }
  return more;
}

absl::Status UsageMeter::FlushSome(absl::Span<const std::shared_ptr<HubUsage>> hubs,
                                   uint64_t hour) {
  absl::Mutex mutex;
  absl::Status failed;
  absl::BlockingCounter left(static_cast<int>(hubs.size()));
  for (const std::shared_ptr<HubUsage>& hub : hubs) {
    store::WriteSet writes;
    const store::UsageNumbers more = Take(*hub, hour, writes);
    if (more.IsZero()) {
      left.DecrementCount();
      continue;
    }
    store::UsageTable::Add(writes, hour, more);
    store::HubSecretsTable::RequirePresent(writes, Gone());
    // Not a share of it: the caller holds one till all are answered, and DropUnused counts shares.
    const auto answered = [&, hub = hub.get(), more](const auto& result) {
      if (!result.ok() && !HasReason(result.status(), "HUB_NOT_FOUND")) {
        GiveBack(*hub, more);
        absl::MutexLock lock(&mutex);
        failed.Update(result.status());
      }
      left.DecrementCount();
    };
    engine_.Apply(hub->partition_, std::move(writes), answered);
  }
  left.Wait();
  return failed;
}

// The size of the index is a difference to what is on disk: it is taken anew.
void UsageMeter::GiveBack(HubUsage& hub, const store::UsageNumbers& more) {
  for (size_t i = 0; i < store::kUsageCounters; ++i) {
    if (static_cast<Counter>(i) == Counter::kIndexBytes) continue;
    hub.counts_[i].fetch_add(more.values[i], std::memory_order_relaxed);
  }
  hub.NoteWrite();
}

absl::Status UsageMeter::FlushInto(uint64_t hour) {
  absl::MutexLock one_at_a_time(&flushing_);
  const absl::Time began = clock_.WallNow();
  std::vector<std::shared_ptr<HubUsage>> hubs;
  {
    absl::MutexLock lock(&mutex_);
    hubs.reserve(hubs_.size());
    for (const auto& [uid, usage] : hubs_) hubs.push_back(usage);
  }
  absl::Status failed;
  for (size_t at = 0; at < hubs.size(); at += kHubsAtOnce) {
    failed.Update(FlushSome(absl::MakeSpan(hubs).subspan(at, kHubsAtOnce), hour));
  }
  DropUnused(std::move(hubs));
  if (!failed.ok()) return failed;
  absl::MutexLock lock(&mutex_);
  counted_through_ = began;
  return absl::OkStatus();
}

// A hub that nobody holds cannot be counted in any more; who looks it up again gets a new one.
void UsageMeter::DropUnused(std::vector<std::shared_ptr<HubUsage>> flushed) {
  absl::MutexLock lock(&mutex_);
  for (std::shared_ptr<HubUsage>& hub : flushed) {
    const HubUid uid = hub->uid_;
    hub.reset();
    const auto found = hubs_.find(uid);
    if (found == hubs_.end() || found->second.use_count() > 1) continue;
    const HubUsage& unused = *found->second;
    bool counted = unused.looks_.load(std::memory_order_relaxed) > 0;
    for (const auto& count : unused.counts_) {
      counted = counted || count.load(std::memory_order_relaxed) != 0;
    }
    if (!counted) hubs_.erase(found);
  }
}

absl::Time UsageMeter::counted_through() const {
  absl::MutexLock lock(&mutex_);
  return counted_through_;
}

size_t UsageMeter::hubs() const {
  absl::MutexLock lock(&mutex_);
  return hubs_.size();
}

}  // namespace cmkstore::service
