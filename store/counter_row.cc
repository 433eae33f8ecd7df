#include "store/counter_row.h"

#include <algorithm>

#include "store/key_layout.h"

namespace cmkstore::store {
namespace {

constexpr size_t kBytes = sizeof(uint64_t);

uint64_t NumberAt(absl::string_view row, size_t at) {
  return at < row.size() ? ReadU64(row.substr(at)) : 0;
}

}  // namespace

std::string EncodeCounters(std::span<const int64_t> counters) {
  std::string row;
  row.reserve(counters.size() * kBytes);
  for (const int64_t one : counters) AppendU64(static_cast<uint64_t>(one), row);
  return row;
}

void DecodeCounters(absl::string_view row, std::span<int64_t> counters) {
  for (size_t i = 0; i < counters.size(); ++i) {
    counters[i] = static_cast<int64_t>(NumberAt(row, i * kBytes));
  }
}

std::string SumOfCounters(absl::string_view row, absl::string_view delta) {
  std::string sum;
  const size_t size = std::max(row.size(), delta.size());
  sum.reserve(size);
  for (size_t at = 0; at < size; at += kBytes) {
    AppendU64(NumberAt(row, at) + NumberAt(delta, at), sum);
  }
  return sum;
}

}  // namespace cmkstore::store
