#include "keycache/vault_lanes.h"

#include <utility>

namespace cmkstore::keycache {

VaultLanes::VaultLanes(VaultLanesOptions options, vault::CallBudget& budget, Clock& clock)
    : options_(std::move(options)),
      budget_(budget),
      clock_(clock),
      answering_(WorkerOptions{
          .name = options_.name, .threads = options_.threads, .max_queued = options_.max_calls}),
      slow_(WorkerOptions{.name = options_.name + "-slow",
                          .threads = options_.slow_threads,
                          .max_queued = options_.max_calls}) {}

bool VaultLanes::Run(const std::string& vault, double calls_per_second, Call call) {
  absl::MutexLock lock(&mutex_);
  if (stopped_ || calls_ >= options_.max_calls) return false;
  ++calls_;
  ++in_line_;
  Lane& lane = lanes_[vault];
  lane.waiting.push_back({calls_per_second, std::move(call)});
  Begin(vault, lane);
  return true;
}

bool VaultLanes::MayBegin(const std::string& vault, Lane& lane) {
  if (lane.waiting.empty()) return false;
  if (lane.running >= (lane.slow ? options_.slow_per_vault : options_.per_vault)) return false;
  const absl::Time now = clock_.MonotonicNow();
  if (lane.slow && now < lane.next_slow) return false;
  const double rate = lane.waiting.front().calls_per_second;
  const bool affordable =
      options_.on_credit ? budget_.TryTakeOnCredit(vault, rate) : budget_.TryTake(vault, rate);
  if (affordable && lane.slow) lane.next_slow = now + options_.slow_interval;
  return affordable;
}

// Hands over as many as the lane's bounds allow. The pools have room for every call that was taken.
void VaultLanes::Begin(const std::string& vault, Lane& lane) {
  while (MayBegin(vault, lane)) {
    Worker& pool = lane.slow ? slow_ : answering_;
    const bool taken = pool.TryRun(
        [this, vault, call = std::move(lane.waiting.front().call)] { Execute(vault, call); });
    lane.waiting.pop_front();
    --in_line_;
    if (taken) {
      ++lane.running;
    } else {
      --calls_;  // stopping
    }
  }
}

void VaultLanes::Execute(const std::string& vault, const Call& call) {
  {
    absl::MutexLock lock(&mutex_);
    if (stopped_) return;
  }
  const bool answered = call();
  absl::MutexLock lock(&mutex_);
  --calls_;
  const auto found = lanes_.find(vault);
  Lane& lane = found->second;
  --lane.running;
  if (!answered && !lane.slow) lane.next_slow = clock_.MonotonicNow() + options_.slow_interval;
  lane.slow = !answered;
  if (stopped_) return;
  Begin(vault, lane);
  if (lane.running == 0 && lane.waiting.empty() && !lane.slow) lanes_.erase(found);
}

void VaultLanes::Tick() {
  absl::MutexLock lock(&mutex_);
  if (stopped_ || in_line_ == 0) return;
  for (auto& [vault, lane] : lanes_) Begin(vault, lane);
}

VaultLanes::Counts VaultLanes::counts() {
  absl::MutexLock lock(&mutex_);
  return {calls_, in_line_};
}

void VaultLanes::Stop() {
  {
    absl::MutexLock lock(&mutex_);
    stopped_ = true;
    for (auto& [vault, lane] : lanes_) lane.waiting.clear();
    calls_ -= std::exchange(in_line_, 0);
  }
  answering_.Stop();
  slow_.Stop();
}

}  // namespace cmkstore::keycache
