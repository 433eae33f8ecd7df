#pragma once

#include <cstdint>
#include <string>

namespace rocksdb {
class DB;
struct ReadOptions;
}  // namespace rocksdb

namespace cmkstore::store {

// Rows that cannot be read, for the damage of a block or of more.
struct UnreadableGap {
  std::string end;     // full key from which reading goes on; longer than that of any document
  uint64_t bytes = 0;  // of the table files, about
};

// What cannot be read from `begin` on, where an iterator has failed; at most up to `end`. No
// readable row is passed unless more than some 60 damaged blocks lie together, or the index of a
// file is damaged: then those between this damage and the next may be, if it is near. Costs about a
// millisecond for each damaged block of those. `options` without bounds.
UnreadableGap FindGap(rocksdb::DB& db, const rocksdb::ReadOptions& options,
                      const std::string& begin, const std::string& end);

}  // namespace cmkstore::store
