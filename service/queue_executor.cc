#include "service/queue_executor.h"

#include <grpc/support/time.h>

namespace cmkstore::service {

void QueueExecutor::Resume(std::coroutine_handle<> coroutine) {
  absl::MutexLock lock(&mutex_);
  ready_.push_back(coroutine);
  if (ready_.size() > 1) return;  // the wake-up is on its way
  alarms_[next_alarm_++ % 2].Set(&queue_, gpr_inf_past(GPR_CLOCK_MONOTONIC),
                                 static_cast<QueueEvent*>(this));
}

void QueueExecutor::Complete(bool /*ok*/) {
  {
    absl::MutexLock lock(&mutex_);
    running_.swap(ready_);
  }
  for (std::coroutine_handle<> coroutine : running_) coroutine.resume();
  running_.clear();
}

}  // namespace cmkstore::service
