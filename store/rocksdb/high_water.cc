#include "store/rocksdb/high_water.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/errors.h"

// Two slots of 16 bytes, written in turn: value ‖ value xor kPattern. A torn write damages one slot
// only.

namespace cmkstore::store {
namespace {

constexpr uint64_t kPattern = 0x5bd1e9959d2c5680u;
using Slot = std::array<uint64_t, 2>;

}  // namespace

absl::StatusOr<HighWater> HighWater::Open(const std::string& path, bool make) {
  const int file = open(path.c_str(), O_RDWR | (make ? O_CREAT : 0) | O_CLOEXEC, 0600);
  if (file < 0 && errno == ENOENT) {
    return StoreCorrupt(
        "its file HIGH_WATER is missing, so nobody knows whether all acknowledged writes are "
        "there: restore the newest backup, or make the file empty to go on with what is there");
  }
  if (file < 0) return StoreCorrupt("the high-water file of a shard cannot be opened");
  return HighWater(file);
}

HighWater::HighWater(HighWater&& other) noexcept
    : file_(std::exchange(other.file_, -1)), slot_(other.slot_) {}

HighWater::~HighWater() {
  if (file_ >= 0) close(file_);
}

uint64_t HighWater::Read() const {
  uint64_t highest = 0;
  for (unsigned slot = 0; slot < 2; ++slot) {
    Slot values{};
    if (pread(file_, values.data(), sizeof(Slot), slot * sizeof(Slot)) != sizeof(Slot)) continue;
    if ((values[0] ^ kPattern) == values[1]) highest = std::max(highest, values[0]);
  }
  return highest;
}

void HighWater::Write(uint64_t value) {
  const Slot values{value, value ^ kPattern};
  // A failed write leaves a lower mark, which detects less and refuses nothing.
  [[maybe_unused]] const ssize_t written =
      pwrite(file_, values.data(), sizeof(Slot), static_cast<off_t>(slot_++ % 2 * sizeof(Slot)));
}

}  // namespace cmkstore::store
