#include "service/store_record.h"

#include <filesystem>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/errors.h"
#include "base/status_macros.h"
#include "service/apply_blocking.h"
#include "store/tables.h"

namespace cmkstore::service {
namespace {

constexpr size_t kHubsAtOnce = 1000;
constexpr size_t kTokenKeyBytes = 32;
constexpr size_t kStoreUidBytes = 16;

std::string RandomBytes(crypto::Random& random, size_t size) {
  std::string bytes(size, '\0');
  random.Fill({reinterpret_cast<uint8_t*>(bytes.data()), bytes.size()});
  return bytes;
}

}  // namespace

absl::StatusOr<storage::v1::StoreRecord> StoredFacts(const store::Engine& engine) {
  CMK_ASSIGN_OR_RETURN(auto facts, store::StoreTable(engine).Get(store::CatalogPartition()));
  if (!facts.has_value()) return StoreCorrupt("the store's own record is missing");
  return *std::move(facts);
}

absl::StatusOr<storage::v1::StoreRecord> LoadStoreRecord(store::Engine& engine,
                                                         crypto::Random& random) {
  CMK_ASSIGN_OR_RETURN(auto found, store::StoreTable(engine).Get(store::CatalogPartition()));
  storage::v1::StoreRecord record = found.value_or(storage::v1::StoreRecord());
  if (record.format_version() > kStoreFormatVersion) return FormatTooNew("the data directory");
  if (found.has_value() && record.shard_count() != engine.shard_count()) {
    return StoreCorrupt(absl::StrCat("the store was made with ", record.shard_count(),
                                     " shards, and only ", engine.shard_count(),
                                     " are there: restore the newest backup"));
  }
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
  CMK_RETURN_IF_ERROR(ApplyBlocking(engine, store::CatalogPartition(), std::move(writes)).status());
  return record;
}

absl::Status CheckPlatformKeyFile(const store::Engine& engine, const std::string& path) {
  std::error_code failed;
  if (std::filesystem::exists(path, failed)) return absl::OkStatus();
  if (failed) return StateInvalid(absl::StrCat(path, " cannot be looked at: ", failed.message()));
  const store::HubsTable hubs(engine);
  const store::Partition catalog = store::CatalogPartition();
  CMK_ASSIGN_OR_RETURN(auto records, hubs.List(catalog, kHubsAtOnce));
  while (!records.empty()) {
    for (const storage::v1::HubRecord& record : records) {
      if (!record.platform_managed() || record.state() == storage::v1::HUB_STATE_PURGED) continue;
      return StateInvalid(absl::StrCat(path, " is missing, and hub tenants/", record.tenant(),
                                       "/hubs/", record.hub(),
                                       " is under the key that was in it: put the file back"));
    }
    const std::string tenant = records.back().tenant(), hub = records.back().hub();
    CMK_ASSIGN_OR_RETURN(records, hubs.ListAfter(catalog, tenant, hub, kHubsAtOnce));
  }
  return absl::OkStatus();
}

}  // namespace cmkstore::service
