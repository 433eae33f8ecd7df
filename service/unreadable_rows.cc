#include "service/unreadable_rows.h"

#include "base/errors.h"
#include "base/log.h"
#include "service/hub_access.h"

namespace cmkstore::service {

bool UnreadableRows::GoesOnWithout(const HubEntry& hub, const absl::Status& status) {
  if (IsRefusalOfGeneration(status)) return true;  // the key's status tells of it, once
  const bool too_new = HasReason(status, "FORMAT_TOO_NEW");
  const bool damaged = HasReason(status, "DOCUMENT_CORRUPT") ||
                       HasReason(status, "DEK_NOT_FOUND") ||
                       HasReason(status, "DEK_RECORD_CORRUPT");
  if (!too_new && !damaged) return false;
  if (damaged) damaged_.Add();
  Log(LogLevel::kError, damaged ? "document_corrupt" : "document_too_new",
      {{"hub_uid", hub.uid.ToHex()}, {"hub", hub.Name()}, {"reason", ReasonOf(status)}});
  return true;
}

void UnreadableRows::TellOfDamage(const HubEntry& hub) {
  damaged_.Add();
  Log(LogLevel::kError, "documents_unreadable",
      {{"hub_uid", hub.uid.ToHex()}, {"hub", hub.Name()}});
}

}  // namespace cmkstore::service
