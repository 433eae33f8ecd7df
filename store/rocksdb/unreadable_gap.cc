// RocksDB does not tell where a damaged block ends. A key behind its last one can be sought, one
// before cannot: distances from the begin are doubled until one is behind it, then halved. A key
// is a number here, big endian, of kKeyBytes bytes.

#include "store/rocksdb/unreadable_gap.h"

#include <rocksdb/db.h>

#include <algorithm>
#include <memory>

namespace cmkstore::store {
namespace {

constexpr size_t kKeyBytes = 66;  // one more than the key of a document
constexpr size_t kBits = 8 * kKeyBytes;
// How often a distance is halved. What is passed beside the gap is its 2^-16th part.
constexpr size_t kHalvings = 16;

// `key` plus 2^bit; above all keys where there is no such number.
std::string Add(std::string key, size_t bit) {
  key.resize(kKeyBytes);
  unsigned carry = 1u << (bit % 8);
  for (size_t at = kKeyBytes - bit / 8; at-- > 0 && carry > 0; carry >>= 8) {
    carry += static_cast<uint8_t>(key[at]);
    key[at] = static_cast<char>(carry & 0xff);
  }
  return carry == 0 ? key : std::string(kKeyBytes, '\xff');
}

}  // namespace

UnreadableGap FindGap(rocksdb::DB& db, const rocksdb::ReadOptions& options,
                      const std::string& begin, const std::string& end) {
  const rocksdb::Slice upper(end);
  rocksdb::ReadOptions bounded = options;
  bounded.iterate_upper_bound = &upper;
  const auto is_readable = [&](const std::string& key) {
    if (key >= end) return true;
    const std::unique_ptr<rocksdb::Iterator> iterator(db.NewIterator(bounded));
    iterator->Seek(key);
    return iterator->status().ok();
  };
  std::string unreadable = begin, readable = end;
  size_t bit = 0;
  for (; bit < kBits; ++bit) {
    readable = Add(begin, bit);
    if (is_readable(readable)) break;
    unreadable = readable;
  }
  // The one is 2^(bit - 1) behind the other.
  for (size_t halvings = 0; halvings < kHalvings && halvings + 2 <= bit; ++halvings) {
    const std::string middle = Add(unreadable, bit - 2 - halvings);
    (is_readable(middle) ? readable : unreadable) = middle;
  }
  UnreadableGap gap{std::min(readable, end), 0};
  const rocksdb::Range range(begin, gap.end);
  db.GetApproximateSizes(&range, 1, &gap.bytes);
  return gap;
}

}  // namespace cmkstore::store
