#include "tests/fuzz/targets.h"

#include <cstdio>
#include <cstdlib>

namespace cmkstore::fuzz {

void Promise(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "broken promise: %s\n", what);
  std::abort();
}

}  // namespace cmkstore::fuzz
