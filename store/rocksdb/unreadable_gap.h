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

// What cannot be read from `begin` on, where an iterator has failed; at most up to `end`. Reads
// some hundreds of blocks. Readable rows between two damaged blocks that are close to each other
// may be passed as well. `options` without bounds.
UnreadableGap FindGap(rocksdb::DB& db, const rocksdb::ReadOptions& options,
                      const std::string& begin, const std::string& end);

}  // namespace cmkstore::store
