#pragma once

#include <optional>
#include <string>

#include "base/clock.h"
#include "cmkstore/storage/v1/records.pb.h"
#include "cmkstore/v1/document_service.pb.h"
#include "crypto/random.h"
#include "service/hub_access.h"
#include "store/engine.h"

namespace cmkstore::service {

// The first answers to writes that carried a request_id, sealed and kept for 24 hours, so that a
// repeat is told the first result and writes nothing.
//
// An answer is written in the commit that it answers, before that commit has a number. The commit's
// record in the change feed names the request, and the answer holds the hub's last number before
// it: so the number is found again by reading a little of the feed.
//
// Thread-safe. Errors: FIELD_INVALID when a request_id comes back with another request,
// DOCUMENT_CORRUPT, STORE_CORRUPT.
class FirstAnswers {
 public:
  FirstAnswers(HubAccess& hubs, store::Engine& engine, crypto::Random& random, Clock& clock)
      : hubs_(hubs), engine_(engine), random_(random), clock_(clock) {}

  // What is kept of a request: the answer, or an expired one that a new one replaces, or nothing.
  struct Kept {
    std::optional<v1::BatchWriteDocumentsResponse> answer;
    std::optional<crypto::SealedDocument> expired;
    uint64_t expired_micros = 0;
  };
  // `digest`: of the whole request.
  Task<absl::StatusOr<Kept>> Find(const CallContext& context, const OpenHub& hub,
                                  const std::string& request_id, const std::string& digest);

  // Adds the answer to the commit that it answers, on condition that what is kept is still as Find
  // saw it (else the commit fails with `conflict`), and now and then removes some that have
  // expired.
  absl::Status Keep(const OpenHub& hub, const std::string& request_id, const std::string& digest,
                    const Kept& before, const v1::BatchWriteDocumentsResponse& answer,
                    const absl::Status& conflict, store::WriteSet& writes,
                    storage::v1::FeedRecord& feed);

 private:
  absl::StatusOr<store::Sequence> SequenceOf(const OpenHub& hub, BlindName request,
                                             store::Sequence after) const;
  absl::Status RemoveExpired(const OpenHub& hub, BlindName but, uint64_t now_micros,
                             const absl::Status& conflict, store::WriteSet& writes) const;

  HubAccess& hubs_;
  store::Engine& engine_;
  crypto::Random& random_;
  Clock& clock_;
};

}  // namespace cmkstore::service
