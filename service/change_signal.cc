#include "service/change_signal.h"

#include <algorithm>
#include <utility>

namespace cmkstore::service {

ChangeSignal::Waiter ChangeSignal::Wait(QueueExecutor& executor, HubUid hub, absl::Time until,
                                        std::function<bool()> changed) {
  return Waiter(*this, executor, hub, until, std::move(changed));
}

bool ChangeSignal::Waiter::await_suspend(std::coroutine_handle<> handle) {
  ChangeSignal& signal = signal_;
  const HubUid hub = hub_;
  // A wake-up may resume the coroutine on its queue's thread as soon as it is registered; that is
  // the thread we are on, so this object lives until we return.
  {
    absl::MutexLock lock(&signal.mutex_);
    signal.waiting_[hub].push_back({&executor_, handle, until_});
  }
  if (!changed_()) return true;
  return !signal.Remove(hub, handle);
}

void ChangeSignal::Notify(HubUid hub) {
  std::vector<Waiting> woken;
  {
    absl::MutexLock lock(&mutex_);
    auto found = waiting_.find(hub);
    if (found == waiting_.end()) return;
    woken = std::move(found->second);
    waiting_.erase(found);
  }
  Wake(woken);
}

void ChangeSignal::ExpireBefore(absl::Time now) {
  std::vector<Waiting> woken;
  {
    absl::MutexLock lock(&mutex_);
    for (auto it = waiting_.begin(); it != waiting_.end();) {
      std::vector<Waiting>& waiting = it->second;
      const auto expired = std::partition(waiting.begin(), waiting.end(),
                                          [now](const Waiting& one) { return one.until > now; });
      woken.insert(woken.end(), expired, waiting.end());
      waiting.erase(expired, waiting.end());
      if (waiting.empty()) {
        waiting_.erase(it++);
      } else {
        ++it;
      }
    }
  }
  Wake(woken);
}

void ChangeSignal::WakeAll() { ExpireBefore(absl::InfiniteFuture()); }

void ChangeSignal::Wake(const std::vector<Waiting>& waiting) {
  for (const Waiting& one : waiting) one.executor->Resume(one.handle);
}

bool ChangeSignal::Remove(HubUid hub, std::coroutine_handle<> handle) {
  absl::MutexLock lock(&mutex_);
  auto found = waiting_.find(hub);
  if (found == waiting_.end()) return false;
  std::vector<Waiting>& waiting = found->second;
  const auto before = waiting.size();
  std::erase_if(waiting, [handle](const Waiting& one) { return one.handle == handle; });
  const bool removed = waiting.size() != before;
  if (waiting.empty()) waiting_.erase(found);
  return removed;
}

}  // namespace cmkstore::service
