#include "service/first_answers.h"

#include <utility>

#include "base/errors.h"
#include "crypto/envelope.h"
#include "store/change_feed.h"
#include "store/tables.h"

namespace cmkstore::service {
namespace {

constexpr absl::Duration kLifetime = absl::Hours(24);
// Few commits come between; each may have some 200 KB.
constexpr size_t kFeedRowsAtOnce = 500;
constexpr size_t kFeedBytesAtOnce = 64u << 10;
// One write in 16 removes up to 64: more than come, so that none stays for long.
constexpr uint8_t kRemoveOneIn = 16;
constexpr size_t kMaxRemoved = 64;

crypto::Binding AnswerBinding(const HubEntry& hub, BlindName request) {
  crypto::Binding binding;
  binding.kind = crypto::RowKind::kResponse;
  binding.tenant = hub.record.tenant();
  binding.hub = hub.uid;
  binding.document = std::string(request.bytes());
  return binding;
}

}  // namespace

Task<absl::StatusOr<FirstAnswers::Kept>> FirstAnswers::Find(const CallContext& context,
                                                            const OpenHub& hub,
                                                            const std::string& request_id,
                                                            const std::string& digest) {
  const BlindName request = hub.keys->names.Request(request_id);
  Kept kept;
  CMK_CO_ASSIGN_OR_RETURN(std::optional<crypto::SealedDocument> sealed,
                          store::ResponsesTable(engine_).Get(hub.partition(), request));
  if (!sealed.has_value()) co_return kept;
  const crypto::Binding binding = AnswerBinding(*hub.entry, request);
  auto opening = hubs_.OpenRow(context, hub, binding, *sealed);
  absl::StatusOr<std::string> plaintext = co_await std::move(opening);
  if (!plaintext.ok()) co_return plaintext.status();
  storage::v1::ResponseBody body;
  v1::BatchWriteDocumentsResponse answer;
  if (!body.ParseFromString(*plaintext) || !answer.ParseFromString(body.response())) {
    co_return DocumentCorrupt();
  }
  if (body.expire_time_micros() < absl::ToUnixMicros(clock_.WallNow())) {
    kept.expired = std::move(sealed);
    kept.expired_micros = static_cast<uint64_t>(body.expire_time_micros());
    co_return kept;
  }
  if (body.request_digest() != digest) {
    co_return FieldInvalid("request_id", "was used for another request within 24 hours");
  }
  CMK_CO_ASSIGN_OR_RETURN(const store::Sequence sequence,
                          SequenceOf(hub, request, body.after_sequence()));
  answer.set_sequence(sequence);
  kept.answer = std::move(answer);
  co_return kept;
}

absl::StatusOr<store::Sequence> FirstAnswers::SequenceOf(const OpenHub& hub, BlindName request,
                                                         store::Sequence after) const {
  for (;;) {
    CMK_ASSIGN_OR_RETURN(const std::vector<store::FeedEntry> entries,
                         store::ChangeFeed(engine_).ReadAfter(hub.partition(), after,
                                                              {kFeedRowsAtOnce, kFeedBytesAtOnce}));
    if (entries.empty()) return StoreCorrupt("the feed lacks the commit of a kept answer");
    for (const store::FeedEntry& entry : entries) {
      if (absl::string_view(entry.record.request()) == request.bytes()) return entry.sequence;
    }
    after = entries.back().sequence;
  }
}

absl::Status FirstAnswers::Keep(const OpenHub& hub, const std::string& request_id,
                                const std::string& digest, const Kept& before,
                                const v1::BatchWriteDocumentsResponse& answer,
                                const absl::Status& conflict, store::WriteSet& writes,
                                storage::v1::FeedRecord& feed) {
  const BlindName request = hub.keys->names.Request(request_id);
  if (!before.expired.has_value()) {
    store::ResponsesTable::RequireAbsent(writes, request, conflict);
  } else {
    store::ResponsesTable::RequireUnchanged(writes, request, *before.expired, conflict);
    store::ResponsesByTimeTable::Delete(writes, before.expired_micros, request);
  }
  const absl::Time now = clock_.WallNow();
  storage::v1::ResponseBody body;
  body.set_request_digest(digest);
  body.set_response(answer.SerializeAsString());
  body.set_expire_time_micros(absl::ToUnixMicros(now + kLifetime));
  CMK_ASSIGN_OR_RETURN(const store::Sequence last, engine_.LastSequence(hub.partition()));
  body.set_after_sequence(last);
  CMK_ASSIGN_OR_RETURN(crypto::SealedDocument sealed,
                       crypto::Seal(hub.keys->seal, AnswerBinding(*hub.entry, request), 1,
                                    body.SerializeAsString(), random_));
  store::ResponsesTable::Put(writes, request, std::move(sealed));
  storage::v1::KeptResponse by_time;
  by_time.set_expire_time_micros(static_cast<uint64_t>(body.expire_time_micros()));
  by_time.set_request(std::string(request.bytes()));
  store::ResponsesByTimeTable::Put(writes, by_time.expire_time_micros(), request, by_time);
  feed.set_request(std::string(request.bytes()));
  if (static_cast<uint8_t>(request.bytes()[0]) % kRemoveOneIn != 0) return absl::OkStatus();
  return RemoveExpired(hub, request, static_cast<uint64_t>(absl::ToUnixMicros(now)), conflict,
                       writes);
}

absl::Status FirstAnswers::RemoveExpired(const OpenHub& hub, BlindName but, uint64_t now_micros,
                                         const absl::Status& conflict,
                                         store::WriteSet& writes) const {
  CMK_ASSIGN_OR_RETURN(const auto expired, store::ResponsesByTimeTable(engine_).ListExpired(
                                               hub.partition(), now_micros, kMaxRemoved));
  for (const storage::v1::KeptResponse& one : expired) {
    CMK_ASSIGN_OR_RETURN(const BlindName request, BlindName::FromBytes(one.request()));
    if (request == but) continue;
    // A write on its way may use the request anew: what it keeps is not this answer any more.
    store::ResponsesByTimeTable::RequirePresent(writes, one.expire_time_micros(), request,
                                                conflict);
    store::ResponsesByTimeTable::Delete(writes, one.expire_time_micros(), request);
    store::ResponsesTable::Delete(writes, request);
  }
  return absl::OkStatus();
}

}  // namespace cmkstore::service
