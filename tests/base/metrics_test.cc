#include "base/metrics.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace cmkstore {
namespace {

using Kind = MetricInfo::Kind;

TEST(MetricsTest, TheTextIsThatOfPrometheus) {
  const MetricInfo calls = {"calls_total", Kind::kCounter, "Calls.", {"method", "code"}, {}};
  const MetricInfo time = {"time_seconds", Kind::kHistogram, "Time.", {}, {}};
  Histogram histogram = Histogram::OfLatencies();
  histogram.Observe(absl::Microseconds(100));
  histogram.Observe(absl::Milliseconds(2));
  histogram.Observe(absl::Minutes(1));
  MetricsText text;
  text.Add(calls, 3, {"Get", "OK"});
  text.Add(calls, 1, {"Get", "a\"b\\c\nd"});
  text.Add(time, histogram);
  const std::string page = text.Serialize();
  for (const char* line :
       {"# TYPE calls_total counter\n", "calls_total{method=\"Get\",code=\"OK\"} 3\n",
        "code=\"a\\\"b\\\\c\\nd\"} 1\n", "time_seconds_bucket{le=\"0.0001\"} 1\n",
        "time_seconds_bucket{le=\"0.0025\"} 2\n", "time_seconds_bucket{le=\"10\"} 2\n",
        "time_seconds_bucket{le=\"+Inf\"} 3\n", "time_seconds_count 3\n"}) {
    EXPECT_NE(page.find(line), std::string::npos) << line << "in\n" << page;
  }
  EXPECT_NEAR(histogram.Read().sum, 60.0021, 1e-9);
}

TEST(MetricsTest, SizesFallIntoTheBucketOfTheirPowerOfTwo) {
  Histogram sizes = Histogram::OfSizes();
  for (const size_t size : {0, 1, 2, 3, 4, 5, 32'768, 32'769}) sizes.ObserveSize(size);
  const auto snapshot = sizes.Read();
  EXPECT_EQ(snapshot.counts[0], 2u);  // 0 and 1
  EXPECT_EQ(snapshot.counts[1], 1u);  // 2
  EXPECT_EQ(snapshot.counts[2], 2u);  // 3 and 4
  EXPECT_EQ(snapshot.counts[3], 1u);  // 5
  EXPECT_EQ(snapshot.counts[15], 1u);
  EXPECT_EQ(snapshot.counts[16], 1u);
  EXPECT_EQ(snapshot.sum, 0 + 1 + 2 + 3 + 4 + 5 + 32'768 + 32'769);
}

TEST(MetricsTest, AnUnknownWordMakesNoNewSeries) {
  static constexpr absl::string_view kWords[] = {"A", "B"};
  WordCounters words(kWords);
  words.Add("B");
  words.Add("made up by a caller");
  words.Add("made up once more");
  const auto read = words.Read();
  ASSERT_EQ(read.size(), 3u);
  EXPECT_EQ(read[1].second, 1u);
  EXPECT_EQ(read[2].first, "other");
  EXPECT_EQ(read[2].second, 2u);
}

TEST(MetricsTest, NoCountIsLostBetweenThreads) {
  Counter counter;
  Histogram histogram = Histogram::OfLatencies();
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int n = 0; n < 50'000; ++n) {
        counter.Add();
        histogram.Observe(absl::Microseconds(n));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(counter.value(), 200'000u);
  EXPECT_EQ(histogram.Read().count, 200'000u);
}

}  // namespace
}  // namespace cmkstore
