#pragma once

#include <string>

#include "service/lock_receipts.h"

namespace cmkstore::service {

// What locks and keys that come and go set off, where a test is of something else.
inline LockReceipts::Actions NoLockActions() {
  return {.name_of = [](HubUid) { return std::string(); },
          .close_index = [](HubUid) { return false; },
          .follow_again = [](HubUid) {},
          .look_at_index = [](HubUid) {},
          .rest_index = [](HubUid) {},
          .wake_streams = [](HubUid) {},
          .count_unwrap = [](HubUid) {}};
}

}  // namespace cmkstore::service
