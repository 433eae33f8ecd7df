// One program for all targets; CMKSTORE_FUZZ_TARGET names the one to run (scripts/fuzz.sh).

#include <cstdio>
#include <cstdlib>

#include "tests/fuzz/targets.h"

namespace {

const cmkstore::fuzz::Target& Chosen() {
  static const auto& targets = *new std::vector(cmkstore::fuzz::AllTargets());
  const char* const name = std::getenv("CMKSTORE_FUZZ_TARGET");
  for (const auto& target : targets) {
    if (name != nullptr && absl::string_view(name) == target.name) return target;
  }
  std::fprintf(stderr, "CMKSTORE_FUZZ_TARGET must be one of:");
  for (const auto& target : targets) std::fprintf(stderr, " %s", target.name);
  std::fprintf(stderr, "\n");
  std::exit(2);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const cmkstore::fuzz::Target& target = Chosen();
  target.run(absl::string_view(reinterpret_cast<const char*>(data), size));
  return 0;
}
