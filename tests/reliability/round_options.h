#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <random>
#include <string>

#include "absl/time/time.h"

namespace cmkstore::reliability {

// How the promise of 45 s is measured: at random phases of the probes, and at a pace.
struct RoundOptions {
  double pace = 1;    // how many times faster than its defaults the key cache asks
  uint32_t seed = 0;  // of the phases
  std::string json_file;

  // Adds --pace, --seed (random if not given) and --json.
  void Declare(CLI::App& app);
  // It shrinks with the pace.
  absl::Duration promise() const { return absl::Seconds(45) / pace; }
  // A moment between two probes.
  absl::Duration Phase(std::mt19937& random) const {
    return absl::Milliseconds(random() % 36'000) / pace;
  }
};

}  // namespace cmkstore::reliability
