// google.longrunning.Operations: what callers ask of operations, and how long the server's are
// kept.

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/errors.h"
#include "base/status_macros.h"
#include "service/apply_blocking.h"
#include "service/limits.h"
#include "service/operation_codec.h"
#include "service/operations.h"
#include "service/timestamps.h"
#include "store/tables.h"

namespace cmkstore::service {
namespace {

using google::longrunning::Operation;
using storage::v1::OperationRecord;

constexpr absl::Duration kMaxWait = absl::Seconds(30);
constexpr absl::Duration kKeptOfServer = absl::Hours(30 * 24);
constexpr size_t kPrunedAtOnce = 100;

}  // namespace

absl::StatusOr<Operations::Found> Operations::Find(const std::string& name) {
  absl::string_view id = name;
  HubEntryPtr hub = ServerEntry();
  std::string operation;
  if (absl::ConsumePrefix(&id, kServerOperations)) {
    operation = std::string(id);
  } else {
    CMK_ASSIGN_OR_RETURN(const OperationName parsed, OperationName::Parse("name", name));
    CMK_ASSIGN_OR_RETURN(hub, hubs_.directory().Find(parsed.hub.tenant, parsed.hub.hub));
    operation = parsed.operation;
  }
  CMK_ASSIGN_OR_RETURN(OperationRecord record, Show(*hub, operation));
  return Found{hub, std::move(record)};
}

absl::StatusOr<Operation> Operations::Get(const AdmittedCall& /*call*/,
                                          const google::longrunning::GetOperationRequest& request) {
  CMK_ASSIGN_OR_RETURN(const Found found, Find(request.name()));
  return ToOperation(*found.hub, found.record);
}

absl::StatusOr<google::longrunning::ListOperationsResponse> Operations::List(
    const AdmittedCall& call, const google::longrunning::ListOperationsRequest& request) {
  HubEntryPtr hub = ServerEntry();
  if (request.name() != kServer) {
    CMK_ASSIGN_OR_RETURN(const HubName name, HubName::Parse("name", request.name()));
    CMK_ASSIGN_OR_RETURN(hub, hubs_.Find(call, name));
  }
  if (!request.filter().empty()) return FieldInvalid("filter", "is not supported here");
  CMK_ASSIGN_OR_RETURN(const size_t page_size, PageSize(request.page_size()));
  const std::string question = absl::StrCat("ListOperations ", request.name());
  CMK_ASSIGN_OR_RETURN(const std::string cursor,
                       tokens_.Decode(call.caller(), question, request.page_token()));
  const store::OperationsTable table(engine_);
  CMK_ASSIGN_OR_RETURN(auto records, cursor.empty()
                                         ? table.List(hub->partition, page_size + 1)
                                         : table.ListAfter(hub->partition, cursor, page_size + 1));
  if (IsServer(*hub)) records = unstored_.MergeInto(std::move(records), cursor, page_size + 1);
  google::longrunning::ListOperationsResponse response;
  size_t bytes = 0;
  for (size_t i = 0; i < records.size(); ++i) {
    OperationRecord record = records[i];
    const auto unwritten = record.done() ? nullptr : UnwrittenEnd(record.operation());
    if (unwritten != nullptr) SetEnd(*hub, *unwritten, record);
    Operation operation = ToOperation(*hub, record);
    bytes += operation.ByteSizeLong();
    if (i == page_size || (i > 0 && bytes > kMaxPageBytes)) {
      response.set_next_page_token(
          tokens_.Encode(call.caller(), question, records[i - 1].operation()));
      break;
    }
    *response.add_operations() = std::move(operation);
  }
  return response;
}

absl::StatusOr<google::protobuf::Empty> Operations::Cancel(
    const AdmittedCall& /*call*/, const google::longrunning::CancelOperationRequest& request) {
  CMK_RETURN_IF_ERROR(CancelNamed(request.name()));
  return google::protobuf::Empty();
}

absl::StatusOr<google::protobuf::Empty> Operations::Delete(
    const AdmittedCall& /*call*/, const google::longrunning::DeleteOperationRequest& request) {
  CMK_ASSIGN_OR_RETURN(const Found found, Find(request.name()));
  if (!found.record.done()) return StateInvalid("the operation still runs; cancel it first");
  if (IsServer(*found.hub) && unstored_.Remove(found.record.operation())) {
    return google::protobuf::Empty();
  }
  store::WriteSet writes;
  store::OperationsTable::Delete(writes, found.record.operation());
  CMK_RETURN_IF_ERROR(ApplyBlocking(engine_, found.hub->partition, std::move(writes)).status());
  return google::protobuf::Empty();
}

// What is left is looked at when the next one ends.
void Operations::PruneOfServer() {
  const store::Partition partition = ServerEntry()->partition;
  const absl::Time before = clock_.WallNow() - kKeptOfServer;
  const auto older =
      store::OperationsTable(engine_).ListAfter(partition, OperationIdsOf(before), kPrunedAtOnce);
  if (!older.ok()) return;
  store::WriteSet writes;
  for (const OperationRecord& record : *older) {
    if (!record.done() || record.update_time_micros() > absl::ToUnixMicros(before)) continue;
    store::OperationsTable::Delete(writes, record.operation());
  }
  if (!writes.empty()) ApplyBlocking(engine_, partition, std::move(writes)).IgnoreError();
}

Task<absl::StatusOr<Operation>> Operations::Wait(
    const CallContext& context, const google::longrunning::WaitOperationRequest& request) {
  const absl::Duration wanted =
      request.has_timeout() ? std::min(ToAbsl(request.timeout()), kMaxWait) : kMaxWait;
  // Answers before the call's own deadline cuts it.
  const absl::Time until =
      std::min(clock_.WallNow() + wanted, context.admitted.deadline() - absl::Milliseconds(200));
  for (;;) {
    CMK_CO_ASSIGN_OR_RETURN(const Found found, Find(request.name()));
    if (found.record.done() || clock_.WallNow() >= until || stopping_) {
      co_return ToOperation(*found.hub, found.record);
    }
    const HubEntryPtr hub = found.hub;
    const std::string id = found.record.operation();
    auto waiting = changed_.Wait(context.executor, hub->uid, until, [this, hub, id] {
      const absl::StatusOr<OperationRecord> record = Show(*hub, id);
      return !record.ok() || record->done() || stopping_;
    });
    co_await waiting;
  }
}

}  // namespace cmkstore::service
