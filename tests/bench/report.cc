#include "tests/bench/report.h"

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <iterator>

#include "absl/strings/str_format.h"

namespace cmkstore::bench {
namespace {

double Rounded(double value) { return std::round(value * 1000) / 1000; }

}  // namespace

void Report::Add(std::vector<Measured> measured) {
  for (const Measured& one : measured) {
    const CaseResult median = one.Median();
    std::fprintf(stderr,
                 "%-15s %-10s %2d in flight %8.0f/s  p50 %7.3f  p99 %7.3f ms  CPU %6.1f us\n",
                 one.what.name.c_str(), one.what.transport.c_str(), one.what.in_flight,
                 median.per_second, median.p50_ms, median.p99_ms, median.server_cpu_us);
  }
  cases_.insert(cases_.end(), std::make_move_iterator(measured.begin()),
                std::make_move_iterator(measured.end()));
}

const Measured& Report::Find(const std::string& name, const std::string& transport,
                             int in_flight) const {
  for (const Measured& one : cases_) {
    if (one.what.name == name && one.what.transport == transport &&
        one.what.in_flight == in_flight) {
      return one;
    }
  }
  std::fprintf(stderr, "no case %s over %s\n", name.c_str(), transport.c_str());
  std::abort();
}

void Report::SetRatios(const std::string& name, const std::string& of, const std::string& transport,
                       const std::string& over, const std::string& over_transport) {
  nlohmann::json ratios = nlohmann::json::object();
  for (const int in_flight : kInFlight) {
    ratios[std::to_string(in_flight)] =
        Rounded(Ratio(Find(of, transport, in_flight), Find(over, over_transport, in_flight)));
  }
  Set(name, std::move(ratios));
}

nlohmann::json Report::ToJson() const {
  nlohmann::json report = facts_;
  report["cases"] = nlohmann::json::array();
  for (const Measured& one : cases_) {
    const CaseResult median = one.Median();
    double lowest = median.per_second, highest = median.per_second;
    for (const CaseResult& round : one.rounds) {
      lowest = std::min(lowest, round.per_second);
      highest = std::max(highest, round.per_second);
    }
    report["cases"].push_back({{"name", one.what.name},
                               {"transport", one.what.transport},
                               {"in_flight", one.what.in_flight},
                               {"throughput_per_s", Rounded(median.per_second)},
                               {"lowest_per_s", Rounded(lowest)},
                               {"highest_per_s", Rounded(highest)},
                               {"documents_per_s", Rounded(one.documents_per_second())},
                               {"p50_ms", Rounded(median.p50_ms)},
                               {"p99_ms", Rounded(median.p99_ms)},
                               {"p999_ms", Rounded(median.p999_ms)},
                               {"server_cpu_us", Rounded(median.server_cpu_us)},
                               {"operations", median.operations},
                               {"rounds", one.rounds.size()}});
  }
  return report;
}

std::string Report::ToTable() const {
  std::string table =
      "| case | transport | in flight | documents/s | lowest – highest | p50 ms | p99 ms | p99.9 "
      "ms "
      "| server CPU µs |\n| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n";
  const nlohmann::json report = ToJson();
  for (const auto& one : report["cases"]) {
    const double per_operation =
        one["documents_per_s"].get<double>() / one["throughput_per_s"].get<double>();
    absl::StrAppendFormat(&table,
                          "| %s | %s | %d | %.0f | %.0f – %.0f | %.3f | %.3f | %.3f | %.1f |\n",
                          one["name"].get<std::string>(), one["transport"].get<std::string>(),
                          one["in_flight"].get<int>(), one["documents_per_s"].get<double>(),
                          one["lowest_per_s"].get<double>() * per_operation,
                          one["highest_per_s"].get<double>() * per_operation,
                          one["p50_ms"].get<double>(), one["p99_ms"].get<double>(),
                          one["p999_ms"].get<double>(), one["server_cpu_us"].get<double>());
  }
  table += "\n";
  for (const auto& [name, value] : facts_.items()) {
    absl::StrAppendFormat(&table, "* `%s`: %s\n", name, value.dump());
  }
  return table;
}

}  // namespace cmkstore::bench
