#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "cmkstore/storage/v1/records.pb.h"
#include "crypto/random.h"
#include "store/engine.h"

namespace cmkstore::service {

// Of the data directory; a later one is refused.
inline constexpr uint32_t kStoreFormatVersion = 1;

// The store's own facts; made when the data directory is new. Errors: FORMAT_TOO_NEW;
// STORE_CORRUPT when there are not all the shards it was made with; those of the store.
absl::StatusOr<storage::v1::StoreRecord> LoadStoreRecord(store::Engine& engine,
                                                         crypto::Random& random);

// The same of a store that is not new. Errors: STORE_CORRUPT without a record; those of the store.
absl::StatusOr<storage::v1::StoreRecord> StoredFacts(const store::Engine& engine);

// That the file of the platform's key is there if a hub is under that key: a new one in place of a
// lost one would open none of them. Errors: STATE_INVALID; those of the store.
absl::Status CheckPlatformKeyFile(const store::Engine& engine, const std::string& path);

}  // namespace cmkstore::service
