#include "base/log_limiter.h"

#include <algorithm>
#include <utility>

namespace cmkstore {
namespace {

constexpr double kBurst = 50;
constexpr double kLinesPerSecond = 5;
constexpr size_t kMaxEvents = 1000;

}  // namespace

std::optional<uint64_t> LogLimiter::Admit(absl::string_view event, absl::Time now) {
  absl::MutexLock lock(&mutex_);
  if (buckets_.size() >= kMaxEvents && !buckets_.contains(event)) event = "";
  const auto [found, fresh] = buckets_.try_emplace(std::string(event), Bucket{kBurst, now, 0});
  Bucket& bucket = found->second;
  const double seconds = std::max(0.0, absl::ToDoubleSeconds(now - bucket.filled));
  bucket.lines = std::min(kBurst, bucket.lines + seconds * kLinesPerSecond);
  bucket.filled = std::max(bucket.filled, now);
  if (bucket.lines < 1) {
    ++bucket.held_back;
    held_back_.fetch_add(1, std::memory_order_relaxed);
    return std::nullopt;
  }
  bucket.lines -= 1;
  return std::exchange(bucket.held_back, 0);
}

void LogLimiter::Refill() {
  absl::MutexLock lock(&mutex_);
  buckets_.clear();
}

}  // namespace cmkstore
