#include "keycache/vault_lanes.h"

#include <utility>

namespace cmkstore::keycache {

VaultLanes::VaultLanes(VaultLanesOptions options)
    : options_(std::move(options)),
      answering_(WorkerOptions{
          .name = options_.name, .threads = options_.threads, .max_queued = options_.max_calls}),
      slow_(WorkerOptions{.name = options_.name + "-slow",
                          .threads = options_.slow_threads,
                          .max_queued = options_.max_calls}) {}

bool VaultLanes::Run(const std::string& vault, Call call) {
  absl::MutexLock lock(&mutex_);
  if (stopped_ || calls_ >= options_.max_calls) return false;
  ++calls_;
  Lane& lane = lanes_[vault];
  lane.waiting.push_back(std::move(call));
  Begin(vault, lane);
  return true;
}

// Hands over as many as the lane's bound allows. The pools have room for every call that was taken.
void VaultLanes::Begin(const std::string& vault, Lane& lane) {
  const size_t bound = lane.slow ? options_.slow_per_vault : options_.per_vault;
  while (lane.running < bound && !lane.waiting.empty()) {
    Worker& pool = lane.slow ? slow_ : answering_;
    const bool taken = pool.TryRun(
        [this, vault, call = std::move(lane.waiting.front())] { Execute(vault, call); });
    lane.waiting.pop_front();
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
  lane.slow = !answered;
  if (stopped_) return;
  Begin(vault, lane);
  if (lane.running == 0 && !lane.slow) lanes_.erase(found);
}

void VaultLanes::Stop() {
  {
    absl::MutexLock lock(&mutex_);
    stopped_ = true;
    for (auto& [vault, lane] : lanes_) lane.waiting.clear();
  }
  answering_.Stop();
  slow_.Stop();
}

}  // namespace cmkstore::keycache
