#pragma once

#include <cstddef>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace cmkstore::store {

// Where the commit threads of all shards wait for each other, as often as they like.
//
// Nobody waits for ever: a shard whose disk stands still would stop all others. Who has waited for
// `max_wait` abandons the meeting, and so may anyone who knows that it cannot come.
//
// Thread-safe.
class ShardMeeting {
 public:
  ShardMeeting(size_t members, absl::Duration max_wait) : members_(members), max_wait_(max_wait) {}

  // True once all members are here; false when the meeting was abandoned.
  bool Meet() {
    absl::MutexLock lock(&mutex_);
    const size_t round = arrived_ / members_;
    ++arrived_;
    const auto complete = [this, round] { return abandoned_ || arrived_ / members_ > round; };
    if (!mutex_.AwaitWithTimeout(absl::Condition(&complete), max_wait_)) abandoned_ = true;
    return arrived_ / members_ > round;
  }
  void Abandon() {
    absl::MutexLock lock(&mutex_);
    abandoned_ = true;
  }

 private:
  const size_t members_;
  const absl::Duration max_wait_;
  absl::Mutex mutex_;
  size_t arrived_ ABSL_GUARDED_BY(mutex_) = 0;
  bool abandoned_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace cmkstore::store
