#pragma once

#include <string>
#include <utility>

#include "absl/synchronization/notification.h"
#include "store/engine.h"

namespace cmkstore::store {

// Engine::Apply for a test's thread, which may wait.
inline absl::StatusOr<Sequence> ApplyAndWait(Engine& engine, const Partition& partition,
                                             WriteSet writes) {
  absl::Notification finished;
  absl::StatusOr<Sequence> result;
  engine.Apply(partition, std::move(writes), [&](absl::StatusOr<Sequence> sequence) {
    result = std::move(sequence);
    finished.Notify();
  });
  finished.WaitForNotification();
  return result;
}

inline WriteSet PutOne(std::string key, std::string value) {
  WriteSet writes;
  writes.PutRecord(std::move(key), std::move(value));
  return writes;
}

// Keeps the engine's commit thread busy from construction until Release, by a completion that
// waits.
class HeldCommits {
 public:
  HeldCommits(Engine& engine, const Partition& partition) {
    engine.Apply(partition, PutOne("held", ""), [this](const absl::StatusOr<Sequence>&) {
      reached_.Notify();
      release_.WaitForNotification();
      left_.Notify();
    });
    reached_.WaitForNotification();
  }
  ~HeldCommits() {
    Release();
    left_.WaitForNotification();
  }
  void Release() {
    if (!release_.HasBeenNotified()) release_.Notify();
  }

 private:
  absl::Notification reached_, release_, left_;
};

}  // namespace cmkstore::store
