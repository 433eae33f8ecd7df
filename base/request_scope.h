#pragma once

#include <string>
#include <utility>

namespace cmkstore {

// Says for which request of ours this thread works now, so that what is logged about a call to a
// vault can be joined with it. A label of log lines only: nothing is decided by it.
//
// Scopes nest; each belongs to the thread that made it and must end before that thread turns to
// other work, so never hold one across a co_await.
class RequestScope {
 public:
  explicit RequestScope(std::string request_id)
      : before_(std::exchange(current_, std::move(request_id))) {}
  ~RequestScope() { current_ = std::move(before_); }
  RequestScope(const RequestScope&) = delete;
  RequestScope& operator=(const RequestScope&) = delete;

  // Empty outside of any request, as in a probe.
  static const std::string& Current() { return current_; }

 private:
  static inline thread_local std::string current_;
  std::string before_;
};

}  // namespace cmkstore
