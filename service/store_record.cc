#include "service/store_record.h"

#include <string>
#include <utility>

#include "base/errors.h"
#include "base/status_macros.h"
#include "service/apply_blocking.h"
#include "store/tables.h"

namespace cmkstore::service {
namespace {

constexpr size_t kTokenKeyBytes = 32;
constexpr size_t kStoreUidBytes = 16;

std::string RandomBytes(crypto::Random& random, size_t size) {
  std::string bytes(size, '\0');
  random.Fill({reinterpret_cast<uint8_t*>(bytes.data()), bytes.size()});
  return bytes;
}

}  // namespace

absl::StatusOr<storage::v1::StoreRecord> LoadStoreRecord(store::Engine& engine,
                                                         crypto::Random& random) {
  CMK_ASSIGN_OR_RETURN(auto found, store::StoreTable(engine).Get(store::CatalogPartition()));
  storage::v1::StoreRecord record = found.value_or(storage::v1::StoreRecord());
  if (record.format_version() > kStoreFormatVersion) return FormatTooNew("the data directory");
  // The first releases gave a store no uid.
  if (found.has_value() && !record.store_uid().empty()) return record;
  if (!found.has_value()) {
    record.set_format_version(kStoreFormatVersion);
    record.set_shard_count(engine.shard_count());
    record.set_token_key(RandomBytes(random, kTokenKeyBytes));
  }
  record.set_store_uid(RandomBytes(random, kStoreUidBytes));
  store::WriteSet writes;
  store::StoreTable::Put(writes, record);
  CMK_RETURN_IF_ERROR(
      ApplyBlocking(engine, store::CatalogPartition(), std::move(writes)).status());
  return record;
}

}  // namespace cmkstore::service
