// RocksDB does not tell where a damaged block ends, but how many bytes of the table files lie
// between two keys: it reads that off their indexes, block by block. So the first key at which the
// number rises is the first one behind a block. A key is a number here, big endian, of kKeyBytes
// bytes; blocks that hold the border of two hubs or projects are as wide as the distance of their
// uids, so that nothing can be told from how far two keys are apart.

#include "store/rocksdb/unreadable_gap.h"

#include <rocksdb/db.h>

#include <algorithm>
#include <memory>

namespace cmkstore::store {
namespace {

constexpr size_t kKeyBytes = 66;  // one more than the key of a document
constexpr size_t kBits = 8 * kKeyBytes;
// A gap is passed block by block up to so many, and then by this part of its length at a time: a
// damaged file has thousands of blocks.
constexpr uint64_t kOneByOne = 64;

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

// The first key above `key` that `is_behind` holds of, which does of all keys above that one.
template <typename IsBehind>
std::string FirstBehind(std::string key, const IsBehind& is_behind) {
  for (size_t bit = kBits; bit-- > 0;) {
    std::string above = Add(key, bit);
    if (!is_behind(above)) key = std::move(above);
  }
  return Add(key, 0);
}

uint64_t BytesBetween(rocksdb::DB& db, const std::string& begin, const std::string& end) {
  const rocksdb::Range range(begin, end);
  uint64_t bytes = 0;
  db.GetApproximateSizes(&range, 1, &bytes);
  return bytes;
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
  std::string unreadable = begin, readable;
  uint64_t passed = 0, step = 0;  // bytes
  for (;;) {
    readable = FirstBehind(unreadable, [&](const std::string& key) {
      return BytesBetween(db, unreadable, key) > step;
    });
    if (is_readable(readable)) break;
    // Added up, not measured from the begin: the whole of a file whose index is damaged counts for
    // any two keys, and steps that do not grow would take for ever.
    passed += BytesBetween(db, unreadable, readable);
    step = passed / kOneByOne;
    unreadable = readable;
  }
  // The last step may have passed more than what is damaged.
  if (step > 0) {
    readable = FirstBehind(
        unreadable, [&](const std::string& key) { return key >= readable || is_readable(key); });
  }
  readable = std::min(readable, end);
  return {readable, BytesBetween(db, begin, readable)};
}

}  // namespace cmkstore::store
