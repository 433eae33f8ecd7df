#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "tests/bench/bench_service.h"
#include "tests/bench/bench_vault.h"

namespace cmkstore::bench {

struct ScaleOptions {
  int hubs = 1000;
  uint64_t documents_per_hub = 100;
};

// What a server with many hubs costs.
struct ScaleResult {
  double create_hub_ms = 0;  // median of one, with a vault that answers at once
  double resident_mib = 0;   // after all keys were used, and every index
  double resident_peak_mib = 0;
  double cold_search_p50_ms = 0;  // key cached, index file not open
  double cold_search_p99_ms = 0;
  double start_without_vault_s = 0;  // until it serves, all data there and no vault reachable
};

// Makes a server with that many hubs, uses all of them, starts it again, and at last once more when
// `vault`, which it stops, is gone. Errors: INTERNAL; a wrong answer is one.
absl::StatusOr<ScaleResult> MeasureScale(const std::string& program, const std::string& directory,
                                         const ScaleOptions& options, BenchVault& vault);

}  // namespace cmkstore::bench
