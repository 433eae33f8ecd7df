#pragma once

#include <coroutine>
#include <functional>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "base/ids.h"
#include "service/queue_executor.h"

namespace cmkstore::service {

// Wakes coroutines that wait for a hub's next commit, or for its lock.
//
// Thread-safe. Notify is cheap when nobody waits: one short lock and one look-up. A wake-up says
// only "look again". Waiters in all: bounded by the number of streams that the server lets in.
class ChangeSignal {
 public:
  class Waiter;

  // co_await signal.Wait(…) goes on after the next Notify of `hub`, after `until`, or at once if
  // `changed` says, asked after the registration so that no commit slips between, that there is
  // something to look at.
  Waiter Wait(QueueExecutor& executor, HubUid hub, absl::Time until, std::function<bool()> changed);

  void Notify(HubUid hub);
  // Wakes those whose time has passed. To be called about once a second.
  void ExpireBefore(absl::Time now);
  void WakeAll();

 private:
  struct Waiting {
    QueueExecutor* executor;
    std::coroutine_handle<> handle;
    absl::Time until;
  };
  static void Wake(const std::vector<Waiting>& waiting);
  // False if the waiter has been woken, or was never there.
  bool Remove(HubUid hub, std::coroutine_handle<> handle);

  absl::Mutex mutex_;
  absl::flat_hash_map<HubUid, std::vector<Waiting>> waiting_ ABSL_GUARDED_BY(mutex_);
};

class ChangeSignal::Waiter {
 public:
  Waiter(ChangeSignal& signal, QueueExecutor& executor, HubUid hub, absl::Time until,
         std::function<bool()> changed)
      : signal_(signal),
        executor_(executor),
        hub_(hub),
        until_(until),
        changed_(std::move(changed)) {}

  bool await_ready() { return false; }
  bool await_suspend(std::coroutine_handle<> handle);
  void await_resume() {}

 private:
  ChangeSignal& signal_;
  QueueExecutor& executor_;
  const HubUid hub_;
  const absl::Time until_;
  const std::function<bool()> changed_;
};

}  // namespace cmkstore::service
