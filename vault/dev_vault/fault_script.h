#pragma once

#include <deque>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <regex>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "vault/dev_vault/answer.h"

namespace cmkstore::dev_vault {

// What happens to a call instead of, or on top of, its real answer.
struct Fault {
  enum class Kind {
    kAnswer,    // `answer` in place of the real one
    kAlter,     // the real answer, with more headers and an altered body
    kReset,     // the connection is reset, without an answer
    kTruncate,  // half of the answer's body, then the connection is closed
    kHang,      // nothing, until the script changes or `hang` has passed; then a reset
  };
  Kind kind = Kind::kAlter;
  Answer answer;
  absl::Duration delay;
  absl::Duration hang;
  std::string merge;           // kAlter: a JSON merge patch (RFC 7386) on the real body
  bool pad_base64 = false;     // kAlter: n, e and value with '=' at the end
  bool zero_before_n = false;  // kAlter: n with a leading zero byte
  bool chunked = false;
};

// The faults that the admin API scripted. The first one that matches a call is played on it, as
// often as its count says.
//
// Thread-safe.
class FaultScript {
 public:
  // Replaces the script by {"faults":[…]} of docs/devvault.md. Says what is wrong with it, or
  // nothing; a wrong script changes nothing.
  std::string Replace(const nlohmann::json& script);
  nlohmann::json Remaining() const;

  std::optional<Fault> Next(const std::string& operation, const std::string& vault,
                            const std::string& path);
  // Waits for `duration`; ends early, with false, when the script changes or stops.
  bool Wait(absl::Duration duration);
  // Ends all waits, for good.
  void Stop();

 private:
  struct Entry {
    std::vector<std::string> operations;  // empty: any
    std::string vault;                    // empty: any
    std::optional<std::regex> path;
    int skip = 0;
    int count = 1;  // negative: without end
    Fault fault;
    std::string source;  // JSON, as it was given
  };
  static std::string Parse(const nlohmann::json& from, Entry& entry);

  mutable absl::Mutex mutex_;
  std::deque<Entry> entries_ ABSL_GUARDED_BY(mutex_);
  int64_t generation_ ABSL_GUARDED_BY(mutex_) = 0;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
};

// The real answer with a fault's alterations.
Answer Alter(const Fault& fault, Answer answer);

}  // namespace cmkstore::dev_vault
