#include "tests/bench/suite.h"

#include <algorithm>
#include <memory>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "tests/bench/child_process.h"

namespace cmkstore::bench {

Case CallCase(const std::string& name, const std::string& transport, int in_flight,
              const CallMaker& calls, pid_t server) {
  Case made;
  made.name = name;
  made.transport = transport;
  made.in_flight = in_flight;
  auto next = std::make_shared<uint64_t>(0);
  made.run = [=](absl::Duration duration) -> absl::StatusOr<CaseResult> {
    LoadRun run(calls, {.in_flight = in_flight, .duration = duration}, *next);
    const absl::Duration before = server == 0 ? absl::ZeroDuration() : ProcessorTime(server);
    CMK_ASSIGN_OR_RETURN(CaseResult result, run.Run());
    if (server != 0 && run.finished() > 0) {
      result.server_cpu_us = absl::ToDoubleMicroseconds(ProcessorTime(server) - before) /
                             static_cast<double>(run.finished());
    }
    return result;
  };
  return made;
}

CaseResult Measured::Median() const {
  std::vector<CaseResult> sorted = rounds;
  std::sort(sorted.begin(), sorted.end(),
            [](const CaseResult& a, const CaseResult& b) { return a.per_second < b.per_second; });
  return sorted.empty() ? CaseResult() : sorted[sorted.size() / 2];
}

double Measured::documents_per_second() const {
  return Median().per_second * static_cast<double>(what.documents_per_operation);
}

absl::StatusOr<std::vector<Measured>> RunInterleaved(const std::vector<Case>& cases,
                                                     const Pace& pace) {
  std::vector<Measured> measured;
  for (const Case& one : cases) measured.push_back({one, {}});
  for (int round = 0; round < pace.rounds; ++round) {
    for (size_t i = 0; i < measured.size(); ++i) {
      Measured& one = measured[round % 2 == 0 ? i : measured.size() - 1 - i];
      absl::StatusOr<CaseResult> result = one.what.run(pace.duration);
      absl::Status status = result.status();
      if (status.ok()) status = one.what.settle();
      if (status.ok() && result->operations == 0) status = absl::InternalError("nothing was done");
      if (!status.ok()) {
        return absl::InternalError(absl::StrCat(one.what.name, " over ", one.what.transport, " at ",
                                                one.what.in_flight,
                                                " in flight: ", std::string(status.message())));
      }
      one.rounds.push_back(*result);
    }
  }
  return measured;
}

double Ratio(const Measured& a, const Measured& b) {
  std::vector<double> ratios;
  for (size_t i = 0; i < a.rounds.size() && i < b.rounds.size(); ++i) {
    ratios.push_back(
        a.rounds[i].per_second * static_cast<double>(a.what.documents_per_operation) /
        (b.rounds[i].per_second * static_cast<double>(b.what.documents_per_operation)));
  }
  return MedianOf(std::move(ratios));
}

double MedianOf(std::vector<double> values) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

}  // namespace cmkstore::bench
