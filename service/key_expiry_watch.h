#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <functional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/worker.h"
#include "store/engine.h"
#include "vault/key_vault.h"

namespace cmkstore::service {

// Customers' vault keys by the time that is left until they expire. An expired key still unwraps,
// so nobody notices until a hub needs a new DEK.
struct KeyExpiries {
  // Expired; within 7 days; within 30 days; later or never.
  std::array<size_t, 4> keys{};
  size_t unread = 0;  // their vault did not tell
};

// Asks each vault about the keys of the active hubs, a few times a day: one get for each key,
// however many hubs are on it. A vault that does not answer is asked no more in that round. Never
// at start.
//
// Thread-safe, but for Tick, which one thread calls and which never blocks. Sweep blocks on vaults.
// `engine`, `vault` and `clock` must outlive this.
class KeyExpiryWatch {
 public:
  // Told of each key that follows its latest version, and of that: hubs that nobody uses are found
  // to be behind by this alone.
  using Latest = std::function<void(const vault::KeyRef& key, const std::string& version_id)>;

  KeyExpiryWatch(store::Engine& engine, vault::KeyVault& vault, Clock& clock, Latest latest);

  // Asks about every key once. Errors: those of the store; what was known before then stays.
  absl::Status Sweep();
  // Starts a sweep in the background when it is time.
  void Tick();
  // Of the last sweep; all zero before the first.
  KeyExpiries Last() const;
  void Stop();

 private:
  store::Engine& engine_;
  vault::KeyVault& vault_;
  Clock& clock_;
  const Latest latest_;
  absl::Time next_sweep_;  // monotonic; the ticking thread's
  std::atomic<bool> stopping_{false};
  mutable absl::Mutex mutex_;
  KeyExpiries last_ ABSL_GUARDED_BY(mutex_);
  Worker worker_{{.name = "key-expiry", .threads = 1, .max_queued = 1}};
};

}  // namespace cmkstore::service
