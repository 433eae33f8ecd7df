#include "tests/reliability/round_options.h"

namespace cmkstore::reliability {

void RoundOptions::Declare(CLI::App& app) {
  seed = std::random_device()();
  app.add_option("--pace", pace,
                 "How many times faster than the defaults the cache asks; the promise shrinks too")
      ->check(CLI::Range(1.0, 10.0))
      ->capture_default_str();
  app.add_option("--seed", seed, "Of the phases; random if not given");
  app.add_option("--json", json_file, "Where to write the result as JSON");
}

}  // namespace cmkstore::reliability
