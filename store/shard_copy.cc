#include "store/shard_copy.h"

#include <string>
#include <vector>

#include "base/errors.h"
#include "base/status_macros.h"
#include "store/key_layout.h"

namespace cmkstore::store {
namespace {

constexpr size_t kBytesAtOnce = 4u << 20;

}  // namespace

absl::Status CopyHubs(const ShardSet& from, ShardSet& to, const PaceFunction& pace) {
  if (from.shard_count() != to.shard_count()) {
    return InvariantBroken("shards copied to another number of shards");
  }
  for (uint32_t shard = 0; shard < from.shard_count(); ++shard) {
    // The catalog's prefix is the lowest.
    std::string after = EndOfPrefix(CatalogPartition().prefix);
    for (;;) {
      CMK_ASSIGN_OR_RETURN(const std::vector<Row> rows, from.ReadRows(shard, after, kBytesAtOnce));
      if (rows.empty()) break;
      uint64_t bytes = 0;
      for (const Row& row : rows) bytes += row.key.size() + row.value.size();
      CMK_RETURN_IF_ERROR(to.WriteRows(shard, rows));
      CMK_RETURN_IF_ERROR(pace(bytes));
      after = rows.back().key;
    }
  }
  return absl::OkStatus();
}

}  // namespace cmkstore::store
