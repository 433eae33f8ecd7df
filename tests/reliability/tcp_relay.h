#pragma once

#include <atomic>
#include <list>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace cmkstore::reliability {

// A port of this machine that leads to another, which can be changed under its callers: so that an
// address of a server can become that of one with another certificate. Thread-safe.
class TcpRelay {
 public:
  explicit TcpRelay(int target_port);
  ~TcpRelay();
  int port() const { return port_; }
  // Cuts the open connections; new ones lead to `port`.
  void Lead(int port);
  // When connections were taken, since the last Lead.
  std::vector<absl::Time> Taken();

 private:
  struct Carrier {
    std::atomic<bool> ended = false;
    std::thread thread;
  };

  void Accept();
  void JoinEnded();
  // Carries bytes both ways until one side ends, or the target changes.
  void Carry(int caller, int target, int generation);

  int listener_ = -1;
  int port_ = 0;
  std::atomic<int> target_;
  std::atomic<int> generation_ = 0;
  std::atomic<bool> stopping_ = false;
  absl::Mutex mutex_;
  std::vector<absl::Time> taken_ ABSL_GUARDED_BY(mutex_);
  std::list<Carrier> carriers_;  // of the accepting thread
  std::thread acceptor_;
};

}  // namespace cmkstore::reliability
