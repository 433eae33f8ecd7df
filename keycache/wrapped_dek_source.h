#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/ids.h"
#include "crypto/dek.h"
#include "crypto/sealed_document.h"
#include "vault/key_vault.h"

namespace cmkstore::keycache {

// One DEK generation as it is stored: wrapped, with the facts that its check value binds.
struct WrappedDekRecord {
  crypto::DekFacts facts;
  vault::WrappedKey wrapped;
  std::string check;  // 16 bytes
};

// All that is needed to open a hub, none of it secret.
struct HubKeyRecords {
  std::string tenant;
  uint64_t revision = 0;  // of the hub's record, which has the next three; grows with each change
  vault::KeyRef key;
  absl::Duration outage_grace = absl::Hours(1);
  bool locked_by_push = false;
  bool locked_by_denial = false;       // remembered: the vault's last word on the hub's key was no
  std::vector<WrappedDekRecord> deks;  // by generation; the last one seals
  std::string sealed_hub_secrets;  // envelope bytes, RowKind::kHubSecrets, under any DEK of `deks`
};

// Where the cache finds the wrapped keys of a hub. Implemented over the store by an adapter in
// service/.
//
// Thread-safe; reads local disk only. Errors: HUB_NOT_FOUND, STORE_CORRUPT.
class WrappedDekSource {
 public:
  virtual ~WrappedDekSource() = default;
  virtual absl::StatusOr<HubKeyRecords> Load(HubUid hub) = 0;
};

}  // namespace cmkstore::keycache
