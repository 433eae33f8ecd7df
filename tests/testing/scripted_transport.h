#pragma once

#include <deque>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "base/errors.h"
#include "base/http_transport.h"

namespace cmkstore::testing {

inline HttpResponse JsonAnswer(int status, std::string body) {
  return {status, {{"Content-Type", "application/json; charset=utf-8"}}, std::move(body)};
}

// An HttpTransport that gives the answers of an ordered script and remembers what was asked.
// Thread-safe.
class ScriptedTransport final : public HttpTransport {
 public:
  absl::StatusOr<HttpResponse> Send(const HttpRequest& request, absl::Time) override {
    absl::MutexLock lock(&mutex_);
    requests_.push_back(request);
    if (answers_.empty())
      return VaultUnreachable("connect: the script has ended", absl::Seconds(5));
    absl::StatusOr<HttpResponse> answer = std::move(answers_.front());
    answers_.pop_front();
    return answer;
  }

  void Answer(absl::StatusOr<HttpResponse> answer) {
    absl::MutexLock lock(&mutex_);
    answers_.push_back(std::move(answer));
  }
  std::vector<HttpRequest> requests() {
    absl::MutexLock lock(&mutex_);
    return requests_;
  }

 private:
  absl::Mutex mutex_;
  std::deque<absl::StatusOr<HttpResponse>> answers_ ABSL_GUARDED_BY(mutex_);
  std::vector<HttpRequest> requests_ ABSL_GUARDED_BY(mutex_);
};

// Value of a request's header, or "".
inline std::string HeaderOf(const HttpRequest& request, const std::string& name) {
  for (const auto& [key, value] : request.headers) {
    if (key == name) return value;
  }
  return "";
}

}  // namespace cmkstore::testing
