#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"
#include "base/worker.h"

namespace cmkstore::keycache {

struct VaultLanesOptions {
  std::string name;
  size_t threads = 32;       // for vaults that answer
  size_t slow_threads = 16;  // for vaults whose last call got no answer
  size_t per_vault = 20;     // calls under way to one vault
  size_t slow_per_vault = 2;
  size_t max_calls = 20'000;  // under way and in line, over all vaults
};

// Threads for blocking vault calls, dealt out so that a vault that hangs takes only its own: each
// vault has a lane with a bound of its own, and one that did not answer last time runs on threads
// apart.
//
// Thread-safe. Calls of one vault begin in the order in which they came.
class VaultLanes {
 public:
  // Says whether the vault answered, be it with an error.
  using Call = std::function<bool()>;

  explicit VaultLanes(VaultLanesOptions options);

  // False when max_calls are taken, or after Stop; the call is then not made.
  [[nodiscard]] bool Run(const std::string& vault, Call call);
  // Waits for the calls under way; those in line are dropped.
  void Stop();

 private:
  struct Lane {
    size_t running = 0;
    bool slow = false;
    std::deque<Call> waiting;
  };

  void Begin(const std::string& vault, Lane& lane) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Execute(const std::string& vault, const Call& call);

  const VaultLanesOptions options_;
  absl::Mutex mutex_;
  absl::flat_hash_map<std::string, Lane> lanes_ ABSL_GUARDED_BY(mutex_);
  size_t calls_ ABSL_GUARDED_BY(mutex_) = 0;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  Worker answering_, slow_;  // last: their threads use all of the above
};

}  // namespace cmkstore::keycache
