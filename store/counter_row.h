#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "absl/strings/string_view.h"

namespace cmkstore::store {

// A row of counters that commits add to: WriteSet::Add. Numbers of 8 bytes, big endian, two's
// complement; those beyond the row's end are 0.

std::string EncodeCounters(std::span<const int64_t> counters);
// Fills `counters`; numbers beyond its size are left out.
void DecodeCounters(absl::string_view row, std::span<int64_t> counters);

// The row with the numbers of `delta` added one by one.
std::string SumOfCounters(absl::string_view row, absl::string_view delta);

}  // namespace cmkstore::store
