#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace cmkstore::fuzz {

// A parser of stored or received bytes under test: takes any bytes, returns when they were read or
// refused, and aborts when a promise of the parser's header is broken. tests/fuzz/corpus/NAME/
// holds its seeds.
struct Target {
  const char* name;
  void (*run)(absl::string_view input);
};

// What comes from callers, from the network, and from the disk.
std::vector<Target> CallerTargets();
std::vector<Target> VaultTargets();
std::vector<Target> DiskTargets();
std::vector<Target> SearchTargets();

inline std::vector<Target> AllTargets() {
  std::vector<Target> all;
  for (auto targets : {CallerTargets, VaultTargets, DiskTargets, SearchTargets}) {
    for (const Target& target : targets()) all.push_back(target);
  }
  return all;
}

// Ends the run: `what` does not hold for this input.
void Promise(bool holds, const char* what);

}  // namespace cmkstore::fuzz
