#pragma once

#include "keycache/wrapped_dek_source.h"
#include "service/hub_directory.h"
#include "service/lock_receipts.h"
#include "store/engine.h"

namespace cmkstore::service {

// The key cache's view of the store: a hub's record, last lock, DEK generations and sealed secrets.
// Thread-safe.
class HubKeySource final : public keycache::WrappedDekSource {
 public:
  HubKeySource(HubDirectory& directory, store::Engine& engine, const LockReceipts& receipts)
      : directory_(directory), engine_(engine), receipts_(receipts) {}

  absl::StatusOr<keycache::HubKeyRecords> Load(HubUid hub) override;

 private:
  HubDirectory& directory_;
  store::Engine& engine_;
  const LockReceipts& receipts_;
};

// All of a hub's are read at once; RotateDek makes no more (STATE_INVALID).
inline constexpr uint32_t kMaxDekGenerations = 10'000;

// The key of a hub as vaults take it.
vault::KeyRef KeyRefOf(const storage::v1::CustomerKey& key);
vault::KeyRef KeyRefOf(const storage::v1::HubRecord& hub);
storage::v1::CustomerKey ToRecord(const vault::KeyRef& key);

storage::v1::DekRecord ToRecord(const keycache::WrappedDekRecord& dek);

}  // namespace cmkstore::service
