#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace cmkstore::bench {

// What one case measured. Latency is from before the call is made until its answer was checked.
struct CaseResult {
  double per_second = 0;
  double p50_ms = 0;
  double p99_ms = 0;
  double p999_ms = 0;
  uint64_t operations = 0;
  double server_cpu_us = 0;  // per operation; 0 where it was not measured
};

// Collects every latency of a case; exact percentiles, no buckets. Not thread-safe.
class Latencies {
 public:
  void Add(uint64_t nanoseconds) { values_.push_back(nanoseconds); }
  void Merge(const Latencies& other) {
    values_.insert(values_.end(), other.values_.begin(), other.values_.end());
  }

  CaseResult Summarize(double seconds) {
    CaseResult result;
    result.operations = values_.size();
    if (values_.empty()) return result;
    result.per_second = static_cast<double>(values_.size()) / seconds;
    std::sort(values_.begin(), values_.end());
    result.p50_ms = At(0.50);
    result.p99_ms = At(0.99);
    result.p999_ms = At(0.999);
    return result;
  }

 private:
  double At(double quantile) const {
    const size_t index = static_cast<size_t>(quantile * static_cast<double>(values_.size() - 1));
    return static_cast<double>(values_[index]) / 1e6;
  }

  std::vector<uint64_t> values_;
};

}  // namespace cmkstore::bench
