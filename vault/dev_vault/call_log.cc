#include "vault/dev_vault/call_log.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

namespace cmkstore::dev_vault {

using nlohmann::json;

constexpr size_t kKept = 20'000;

void CallLog::Arrive(const std::string& operation) {
  absl::MutexLock lock(&mutex_);
  ++counts_[operation];
  most_at_once_ = std::max(most_at_once_, ++under_way_);
}

void CallLog::Add(LoggedCall call) {
  absl::MutexLock lock(&mutex_);
  ++next_;
  --under_way_;
  calls_.push_back(std::move(call));
  if (calls_.size() > kKept) calls_.pop_front();
}

json CallLog::Counts() const {
  absl::MutexLock lock(&mutex_);
  return counts_;
}

json CallLog::Since(int64_t since) const {
  absl::MutexLock lock(&mutex_);
  json calls = json::array();
  const int64_t first = next_ - static_cast<int64_t>(calls_.size());
  for (int64_t at = std::max(first, since); at < next_; ++at) {
    const LoggedCall& call = calls_[static_cast<size_t>(at - first)];
    calls.push_back({{"sequence", at},
                     {"unix_ms", call.unix_ms},
                     {"operation", call.operation},
                     {"vault", call.vault},
                     {"path", call.path},
                     {"caller", call.caller},
                     {"client_request_id", call.client_request_id},
                     {"status", call.status},
                     {"fault", call.fault}});
  }
  return {{"calls", calls}, {"next", next_}, {"most_at_once", most_at_once_}};
}

void CallLog::ResetCounts() {
  absl::MutexLock lock(&mutex_);
  counts_.clear();
  most_at_once_ = under_way_;
}

}  // namespace cmkstore::dev_vault
