#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <limits>

namespace cmkstore::cli {

// Checks of numbers on the command line; what they refuse is told in one sentence, as in
// `--count: must be a whole number from 1 on, not "-1"`.
CLI::Validator WholeNumber(uint64_t at_least,
                           uint64_t at_most = std::numeric_limits<uint64_t>::max());
// A price or a quantity: 0 to 10¹⁸.
CLI::Validator Amount();

}  // namespace cmkstore::cli
