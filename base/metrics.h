#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"

// Counters and histograms that cost the hot path a few relaxed atomic additions, and their text for
// Prometheus. Whoever does the work owns its counters; whoever is asked for the text reads them.
//
// Thread-safe, but for MetricsText.

namespace cmkstore {

class Counter {
 public:
  void Add(uint64_t count = 1) { value_.fetch_add(count, std::memory_order_relaxed); }
  uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> value_{0};
};

// Observations in buckets of fixed bounds.
class Histogram {
 public:
  static constexpr size_t kBuckets = 16;  // and one for what is beyond the last bound
  struct Snapshot {
    std::array<uint64_t, kBuckets + 1> counts{};  // not cumulative
    uint64_t count = 0;
    double sum = 0;  // in the unit of the bounds
  };

  // Of durations from 100 µs to 10 s.
  static Histogram OfLatencies();
  // Of sizes of groups from 1 to 32,768.
  static Histogram OfSizes();
  Histogram(const Histogram&) = delete;

  void Observe(absl::Duration duration) { Add(absl::ToInt64Nanoseconds(duration)); }
  void ObserveSize(size_t size) { Add(static_cast<int64_t>(size)); }
  Snapshot Read() const;
  double BoundOf(size_t bucket) const { return static_cast<double>((*bounds_)[bucket]) * unit_; }

 private:
  using Bounds = std::array<int64_t, kBuckets>;
  Histogram(double unit, const Bounds& bounds) : unit_(unit), bounds_(&bounds) {}
  void Add(int64_t value) {
    size_t bucket = 0;
    while (bucket < kBuckets && value > (*bounds_)[bucket]) ++bucket;
    counts_[bucket].fetch_add(1, std::memory_order_relaxed);
    sum_.fetch_add(value, std::memory_order_relaxed);
  }

  const double unit_;
  const Bounds* const bounds_;
  std::array<std::atomic<uint64_t>, kBuckets + 1> counts_{};
  std::atomic<int64_t> sum_{0};
};

// Counters by a word of a fixed list; any other word counts as "other". Memory is bounded whatever
// comes in.
class WordCounters {
 public:
  explicit WordCounters(std::span<const absl::string_view> words);
  void Add(absl::string_view word);
  // In the order of the list, "other" last.
  std::vector<std::pair<absl::string_view, uint64_t>> Read() const;

 private:
  const std::span<const absl::string_view> words_;
  const std::unique_ptr<Counter[]> counters_;  // one more than words
};

// One metric, as it is documented (docs/metrics.md).
struct MetricInfo {
  enum class Kind { kCounter, kGauge, kHistogram };
  const char* name;
  Kind kind;
  const char* help;
  std::array<const char*, 2> labels{};        // names; null: none
  std::array<const char*, 2> label_values{};  // what they can be: the bound of the series
};

// A page of metrics in the making.
class MetricsText {
 public:
  MetricsText();
  ~MetricsText();
  // `labels`: one value for each label of `info`.
  void Add(const MetricInfo& info, double value,
           std::initializer_list<absl::string_view> labels = {});
  void Add(const MetricInfo& info, const Histogram& histogram,
           std::initializer_list<absl::string_view> labels = {});
  // Prometheus text format 0.0.4.
  std::string Serialize() const;

 private:
  class Families;
  const std::unique_ptr<Families> families_;
};

}  // namespace cmkstore
