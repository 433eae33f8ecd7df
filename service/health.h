#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "base/clock.h"

namespace cmkstore::service {

// One look at the parts that readiness rests on. Vaults are not among them: a tenant's broken vault
// is that tenant's trouble.
struct HealthFacts {
  size_t shards = 0;
  size_t shards_stopped = 0;  // refusing writes: the disk is full or failing
  uint64_t free_disk_bytes = 0;
  absl::Duration queue_silence = absl::ZeroDuration();  // of the slowest request queue
};

struct HealthAnswer {
  bool ok = false;
  std::vector<std::string> lines;  // one for each thing that was looked at, fit for people
};

// Whether the process lives, has started, and should be sent calls.
//
// Thread-safe, never blocks. `clock` must outlive this.
class Health {
 public:
  Health(uint64_t min_free_disk, Clock& clock);

  // The ticker's sign of life, and what it has seen. Returns whether readiness has changed, or was
  // seen for the first time: a server that begins unready must say why.
  bool Report(const HealthFacts& facts);
  // Everything is open and serves.
  void Started();
  // For good: the server is about to end.
  void Drain();

  // Fails when the ticker has not reported for a minute, or a request queue has not answered it for
  // as long: only a restart helps.
  HealthAnswer Live() const;
  HealthAnswer Startup() const;
  HealthAnswer Ready() const;
  // "starting", "serving", "not ready" or "draining".
  std::string State() const;

 private:
  enum class Phase { kStarting, kServing, kDraining };
  HealthAnswer ReadyLocked() const ABSL_SHARED_LOCKS_REQUIRED(mutex_);

  const uint64_t min_free_disk_;
  Clock& clock_;
  mutable absl::Mutex mutex_;
  Phase phase_ ABSL_GUARDED_BY(mutex_) = Phase::kStarting;
  HealthFacts facts_ ABSL_GUARDED_BY(mutex_);
  bool reported_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Time last_report_ ABSL_GUARDED_BY(mutex_);  // monotonic
};

}  // namespace cmkstore::service
