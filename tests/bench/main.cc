// cmkbench: measures the service beside the floors that it stands on, in one run.

#include <CLI/CLI.hpp>
#include <cstdio>
#include <string>

#include "absl/synchronization/mutex.h"
#include "tests/bench/benchmark.h"

int main(int argc, char** argv) {
  cmkstore::bench::BenchmarkOptions options;
  std::string alone;
  CLI::App app("Measures cmkstore beside a bare gRPC echo and raw RocksDB, in one run.");
  app.add_option("--programs", options.programs, "Where cmkstored, cmkdevvault and the others are")
      ->required();
  app.add_flag("--quick", options.quick,
               "Two minutes instead of half an hour: shorter and smaller");
  app.add_option("--json", options.json_file, "Write all figures there");
  app.add_option("--alone", alone, "Run only this case and the echo, to be watched by a profiler");
  app.add_option("--beside", options.beside,
                 "With --alone: another server among the programs, to compare two builds");
  CLI11_PARSE(app, argc, argv);
#ifdef NDEBUG
  // As cmkstored does, so that clients and echo are measured at their best as well.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
#endif
  cmkstore::bench::Benchmark benchmark(options);
  const absl::Status status = alone.empty() ? benchmark.Run() : benchmark.RunAlone(alone);
  if (status.ok()) return 0;
  std::fprintf(stderr, "cmkbench: %s\n", std::string(status.message()).c_str());
  return 1;
}
