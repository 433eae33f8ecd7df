#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <list>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/worker.h"
#include "vault/call_budget.h"

namespace cmkstore::keycache {

struct VaultLanesOptions {
  std::string name;
  size_t threads;       // for vaults that answer
  size_t slow_threads;  // for vaults whose last call got no answer, and for calls that hang
  size_t per_vault;     // calls under way to one vault
  size_t slow_per_vault;
  absl::Duration slow_interval = absl::Seconds(1);  // between calls to one that did not answer
  size_t max_calls = 20'000;                        // under way and in line, over all vaults
  bool on_credit = false;  // these calls may overdraw the vault's budget a little
};

// Threads for blocking vault calls, dealt out so that a vault that hangs takes only its own: each
// vault has a lane with a bound of its own, one that did not answer last time runs on threads apart
// and is called once a second, and none is called beyond its budget. A call that has taken half a
// second counts among those of the threads apart: vaults that fall silent all at once make room for
// others before anybody knows that they are silent.
//
// Thread-safe. Calls of one vault begin in the order in which they came; where threads are scarce,
// vaults take turns. `budget` and `clock` must outlive this.
class VaultLanes {
 public:
  // Says whether the vault answered, be it with an error.
  using Call = std::function<bool()>;

  VaultLanes(VaultLanesOptions options, vault::CallBudget& budget, Clock& clock);

  // False when max_calls are taken, or after Stop; the call is then not made.
  [[nodiscard]] bool Run(const std::string& vault, double calls_per_second, Call call);
  // Begins the calls for which there is budget again; to be called about every 100 ms.
  void Tick();
  struct Counts {
    size_t calls = 0;    // that have not ended
    size_t in_line = 0;  // of these, that have not begun
  };
  Counts counts();
  // Waits for the calls under way; those in line are dropped.
  void Stop();

 private:
  struct Waiting {
    double calls_per_second;
    Call call;
  };
  struct Lane {
    size_t running = 0;
    bool slow = false;
    bool in_turn = false;                         // waits for a thread
    absl::Time next_slow = absl::InfinitePast();  // monotonic
    std::deque<Waiting> waiting;
  };

  struct Running {
    absl::Time began;  // monotonic
    bool slow;
  };

  std::deque<std::string>& TurnsOf(const Lane& lane) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return lane.slow ? slow_turns_ : turns_;
  }
  // Puts the lane in line for a thread if it has a call that its own bounds allow.
  void TakeTurn(const std::string& vault, Lane& lane) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void BeginInTurn() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool HasThread(bool slow) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool TakeFromBudget(const std::string& vault, const Lane& lane);
  void Begin(const std::string& vault, Lane& lane) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Execute(const std::string& vault, const Call& call, std::list<Running>::iterator running);

  const VaultLanesOptions options_;
  vault::CallBudget& budget_;
  Clock& clock_;
  absl::Mutex mutex_;
  absl::flat_hash_map<std::string, Lane> lanes_ ABSL_GUARDED_BY(mutex_);
  std::deque<std::string> turns_ ABSL_GUARDED_BY(mutex_), slow_turns_ ABSL_GUARDED_BY(mutex_);
  std::list<Running> running_ ABSL_GUARDED_BY(mutex_);  // by their begin
  size_t slow_running_ ABSL_GUARDED_BY(mutex_) = 0;
  size_t calls_ ABSL_GUARDED_BY(mutex_) = 0;
  size_t in_line_ ABSL_GUARDED_BY(mutex_) = 0;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  Worker threads_;  // last: they use all of the above
};

}  // namespace cmkstore::keycache
