#pragma once

#include <sys/types.h>

#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "tests/bench/latencies.h"
#include "tests/bench/load.h"

namespace cmkstore::bench {

// One line of the table: an operation over a transport with so many in flight.
struct Case {
  std::string name;
  std::string transport;  // "plaintext", "mtls", "in_process"; of RocksDB "none"
  int in_flight = 1;
  uint64_t documents_per_operation = 1;
  std::function<absl::StatusOr<CaseResult>(absl::Duration)> run;
  // After each run: until what it has set going in the background is over.
  std::function<absl::Status()> settle = [] { return absl::OkStatus(); };
};

// A case of gRPC calls. `server`: whose processor time is measured; 0 for none.
Case CallCase(const std::string& name, const std::string& transport, int in_flight,
              const CallMaker& calls, pid_t server);

struct Measured {
  Case what;
  std::vector<CaseResult> rounds;

  // The round of median throughput.
  CaseResult Median() const;
  double documents_per_second() const;
};

struct Pace {
  int rounds = 3;
  absl::Duration duration = absl::Seconds(1);  // of one run
};

// Runs the cases in turn, `pace.rounds` times, each second time in reverse order, so that what
// disturbs the machine for a while disturbs them alike. Errors: the first error of a case, with its
// name.
absl::StatusOr<std::vector<Measured>> RunInterleaved(const std::vector<Case>& cases,
                                                     const Pace& pace);

// Median over the rounds of documents per second of `a` over those of `b` in the same round.
double Ratio(const Measured& a, const Measured& b);

double MedianOf(std::vector<double> values);

}  // namespace cmkstore::bench
