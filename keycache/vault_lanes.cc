#include "keycache/vault_lanes.h"

#include <utility>

namespace cmkstore::keycache {
namespace {

constexpr absl::Duration kHanging = absl::Milliseconds(500);

}  // namespace

VaultLanes::VaultLanes(VaultLanesOptions options, vault::CallBudget& budget, Clock& clock)
    : options_(std::move(options)),
      budget_(budget),
      clock_(clock),
      threads_(WorkerOptions{.name = options_.name,
                             .threads = options_.threads + options_.slow_threads,
                             .max_queued = options_.max_calls}) {}

bool VaultLanes::Run(const std::string& vault, double calls_per_second, Call call) {
  absl::MutexLock lock(&mutex_);
  if (stopped_ || calls_ >= options_.max_calls) return false;
  ++calls_;
  ++in_line_;
  const auto [found, fresh] = lanes_.try_emplace(vault);
  Lane& lane = found->second;
  if (fresh) lane.slow = budget_.failing(vault);  // as calls for another purpose have found
  lane.waiting.push_back({calls_per_second, std::move(call)});
  TakeTurn(vault, lane);
  BeginInTurn();
  return true;
}

void VaultLanes::TakeTurn(const std::string& vault, Lane& lane) {
  if (lane.in_turn || lane.waiting.empty()) return;
  if (lane.running >= (lane.slow ? options_.slow_per_vault : options_.per_vault)) return;
  if (lane.slow && clock_.MonotonicNow() < lane.next_slow) return;
  lane.in_turn = true;
  TurnsOf(lane).push_back(vault);
}

void VaultLanes::BeginInTurn() {
  const absl::Time hanging = clock_.MonotonicNow() - kHanging;
  for (Running& call : running_) {
    if (call.began > hanging) break;
    if (!std::exchange(call.slow, true)) ++slow_running_;
  }
  for (const bool slow : {false, true}) {
    std::deque<std::string>& turns = slow ? slow_turns_ : turns_;
    while (!turns.empty() && HasThread(slow)) {
      const std::string vault = std::move(turns.front());
      turns.pop_front();
      Lane& lane = lanes_.find(vault)->second;
      lane.in_turn = false;
      if (!TakeFromBudget(vault, lane)) continue;  // its next turn comes with a tick
      Begin(vault, lane);
      TakeTurn(vault, lane);
    }
  }
}

// Calls that hang may take every thread that no other call has: there are slow_threads of them.
bool VaultLanes::HasThread(bool slow) const {
  if (running_.size() >= options_.threads + options_.slow_threads) return false;
  return slow ? slow_running_ < options_.slow_threads
              : running_.size() - slow_running_ < options_.threads;
}

bool VaultLanes::TakeFromBudget(const std::string& vault, const Lane& lane) {
  const double rate = lane.waiting.front().calls_per_second;
  return options_.on_credit ? budget_.TryTakeOnCredit(vault, rate) : budget_.TryTake(vault, rate);
}

void VaultLanes::Begin(const std::string& vault, Lane& lane) {
  const absl::Time now = clock_.MonotonicNow();
  if (lane.slow) lane.next_slow = now + options_.slow_interval;
  slow_running_ += lane.slow ? 1 : 0;
  ++lane.running;
  --in_line_;
  const auto running = running_.insert(running_.end(), {now, lane.slow});
  // The queue has room for every call that was taken, and ends only after Stop.
  (void)threads_.TryRun([this, vault, running, call = std::move(lane.waiting.front().call)] {
    Execute(vault, call, running);
  });
  lane.waiting.pop_front();
}

void VaultLanes::Execute(const std::string& vault, const Call& call,
                         std::list<Running>::iterator running) {
  {
    absl::MutexLock lock(&mutex_);
    if (stopped_) return;
  }
  const bool answered = call();
  absl::MutexLock lock(&mutex_);
  --calls_;
  slow_running_ -= running->slow ? 1 : 0;
  running_.erase(running);
  const auto found = lanes_.find(vault);
  Lane& lane = found->second;
  --lane.running;
  if (lane.slow == answered) {  // it is to be no more what it was
    if (std::exchange(lane.in_turn, false)) std::erase(TurnsOf(lane), vault);
    lane.slow = !answered;
    if (lane.slow) lane.next_slow = clock_.MonotonicNow() + options_.slow_interval;
  }
  if (stopped_) return;
  TakeTurn(vault, lane);
  BeginInTurn();
  if (lane.running == 0 && lane.waiting.empty() && !lane.slow) lanes_.erase(found);
}

void VaultLanes::Tick() {
  absl::MutexLock lock(&mutex_);
  if (stopped_ || in_line_ == 0) return;
  for (auto& [vault, lane] : lanes_) TakeTurn(vault, lane);
  BeginInTurn();
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
  threads_.Stop();
}

}  // namespace cmkstore::keycache
