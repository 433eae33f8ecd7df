#include "base/metrics.h"

#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <sstream>
#include <utility>

namespace cmkstore {
namespace {

constexpr std::array<int64_t, Histogram::kBuckets> kLatencyNanos = {
    100'000,       250'000,       500'000,       1'000'000,     2'500'000,   5'000'000,
    10'000'000,    25'000'000,    50'000'000,    100'000'000,   250'000'000, 500'000'000,
    1'000'000'000, 2'500'000'000, 5'000'000'000, 10'000'000'000};
constexpr std::array<int64_t, Histogram::kBuckets> kSizes = {
    1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16'384, 32'768};

prometheus::MetricType TypeOf(MetricInfo::Kind kind) {
  switch (kind) {
    case MetricInfo::Kind::kCounter: return prometheus::MetricType::Counter;
    case MetricInfo::Kind::kGauge: return prometheus::MetricType::Gauge;
    case MetricInfo::Kind::kHistogram: return prometheus::MetricType::Histogram;
  }
  return prometheus::MetricType::Untyped;
}

}  // namespace

Histogram Histogram::OfLatencies() { return Histogram(1e-9, kLatencyNanos); }
Histogram Histogram::OfSizes() { return Histogram(1, kSizes); }

Histogram::Snapshot Histogram::Read() const {
  Snapshot snapshot;
  for (size_t i = 0; i < counts_.size(); ++i) {
    snapshot.counts[i] = counts_[i].load(std::memory_order_relaxed);
    snapshot.count += snapshot.counts[i];
  }
  snapshot.sum = static_cast<double>(sum_.load(std::memory_order_relaxed)) * unit_;
  return snapshot;
}

WordCounters::WordCounters(std::span<const absl::string_view> words)
    : words_(words), counters_(std::make_unique<Counter[]>(words.size() + 1)) {}

void WordCounters::Add(absl::string_view word) {
  const auto found = std::find(words_.begin(), words_.end(), word);
  counters_[static_cast<size_t>(found - words_.begin())].Add();
}

std::vector<std::pair<absl::string_view, uint64_t>> WordCounters::Read() const {
  std::vector<std::pair<absl::string_view, uint64_t>> read;
  for (size_t i = 0; i < words_.size(); ++i) read.emplace_back(words_[i], counters_[i].value());
  read.emplace_back("other", counters_[words_.size()].value());
  return read;
}

class MetricsText::Families {
 public:
  prometheus::ClientMetric& AddMetric(const MetricInfo& info,
                                      std::initializer_list<absl::string_view> labels) {
    prometheus::MetricFamily* family = nullptr;
    for (auto& one : families) {
      if (one.name == info.name) family = &one;
    }
    if (family == nullptr) {
      families.push_back({info.name, info.help, TypeOf(info.kind), {}});
      family = &families.back();
    }
    prometheus::ClientMetric& metric = family->metric.emplace_back();
    size_t i = 0;
    for (absl::string_view value : labels) {
      metric.label.push_back({info.labels.at(i++), std::string(value)});
    }
    return metric;
  }

  std::vector<prometheus::MetricFamily> families;
};

MetricsText::MetricsText() : families_(std::make_unique<Families>()) {}
MetricsText::~MetricsText() = default;

void MetricsText::Add(const MetricInfo& info, double value,
                      std::initializer_list<absl::string_view> labels) {
  prometheus::ClientMetric& metric = families_->AddMetric(info, labels);
  (info.kind == MetricInfo::Kind::kCounter ? metric.counter.value : metric.gauge.value) = value;
}

void MetricsText::Add(const MetricInfo& info, const Histogram& histogram,
                      std::initializer_list<absl::string_view> labels) {
  prometheus::ClientMetric::Histogram& out = families_->AddMetric(info, labels).histogram;
  const Histogram::Snapshot snapshot = histogram.Read();
  uint64_t cumulative = 0;
  for (size_t i = 0; i < Histogram::kBuckets; ++i) {
    cumulative += snapshot.counts[i];
    out.bucket.push_back({cumulative, histogram.BoundOf(i)});
  }
  out.sample_count = snapshot.count;
  out.sample_sum = snapshot.sum;
}

std::string MetricsText::Serialize() const {
  std::ostringstream out;
  prometheus::TextSerializer().Serialize(out, families_->families);
  return out.str();
}

}  // namespace cmkstore
