#pragma once

#include <deque>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace cmkstore::dev_vault {

// One call that came in: who asked for what, when, and how it was answered. Holds no token, secret
// or key value.
struct LoggedCall {
  int64_t unix_ms = 0;  // of the machine's clock, not of the settable one
  std::string operation;
  std::string vault;
  std::string path;
  std::string caller;  // client id that the token named; empty if none was good
  std::string client_request_id;
  int status = 0;  // 0: no answer was sent
  bool fault = false;
};

// The last 20,000 calls and a count of all, for tests that ask what a client did. Thread-safe.
class CallLog {
 public:
  // Counts a call when it arrives; Add keeps what became of it. One Add for each Arrive.
  void Arrive(const std::string& operation);
  void Add(LoggedCall call);
  // {operation: count} since the start or the last reset.
  nlohmann::json Counts() const;
  // {"calls":[…], "next": N, "most_at_once": M}: those with a sequence number of `since` and above;
  // the most calls that were under way at one moment since the start or the last reset.
  nlohmann::json Since(int64_t since) const;
  void ResetCounts();

 private:
  mutable absl::Mutex mutex_;
  std::deque<LoggedCall> calls_ ABSL_GUARDED_BY(mutex_);
  int64_t next_ ABSL_GUARDED_BY(mutex_) = 0;
  std::map<std::string, int64_t> counts_ ABSL_GUARDED_BY(mutex_);
  int64_t under_way_ ABSL_GUARDED_BY(mutex_) = 0;
  int64_t most_at_once_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace cmkstore::dev_vault
