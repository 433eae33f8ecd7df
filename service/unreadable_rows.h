#pragma once

#include "absl/status/status.h"
#include "base/metrics.h"
#include "service/hub_directory.h"

namespace cmkstore::service {

// What searches and indexes do about a document that does not open: they go on with the others, and
// tell of it. A read of the document itself fails with the reason.
//
// Thread-safe. `damaged` counts what is not as it was written, and must outlive this.
//
// Log: the hub's uid and name, and the reason.
class UnreadableRows {
 public:
  explicit UnreadableRows(Counter& damaged) : damaged_(damaged) {}

  // Whether `status` is of one row alone, whoever asks and however often: damage, a later format, a
  // key generation that is not there (then it is logged and counted), or a refusal of a generation
  // (hub_access.h).
  bool GoesOnWithout(const HubEntry& hub, const absl::Status& status);
  // Documents of the hub, nobody knows how many, stand in a part of the store that cannot be read.
  void TellOfDamage(const HubEntry& hub);

 private:
  Counter& damaged_;
};

}  // namespace cmkstore::service
