// How operations begin, and begin again after a crash or a stop.

#include <array>
#include <memory>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_format.h"
#include "base/errors.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "service/apply_blocking.h"
#include "service/operation_codec.h"
#include "service/operations.h"
#include "store/tables.h"

namespace cmkstore::service {
namespace {

using google::longrunning::Operation;
using storage::v1::OperationRecord;

constexpr size_t kPointersAtOnce = 1000;

}  // namespace

absl::StatusOr<Operation> Operations::Start(const HubEntry& hub, const std::string& kind,
                                            const std::string& argument) {
  CMK_ASSIGN_OR_RETURN(Started started, StartWith(hub, kind, argument, store::WriteSet()));
  return std::move(started.operation);
}

absl::StatusOr<Operation> Operations::StartOfServer(const std::string& kind,
                                                    const std::string& argument) {
  return Start(*ServerEntry(), kind, argument);
}

absl::StatusOr<Operation> Operations::StartLookOfServer(const std::string& kind,
                                                        const std::string& argument) {
  const HubEntryPtr server = ServerEntry();
  CMK_RETURN_IF_ERROR(CheckRoom(server->record.tenant()));
  const OperationRecord record = NewRecord(kind, argument);
  const absl::Status kept = Keep(*server, record, store::WriteSet()).status();
  if (!kept.ok()) {
    Log(LogLevel::kWarning, "operation_not_stored",
        {{"operation", OperationNameOf(*server, record.operation())},
         {"kind", kind},
         {"reason", ReasonOf(kept)}});
    unstored_.Add(record);
  }
  Enqueue(server, record);
  return ToOperation(*server, record);
}

absl::StatusOr<Operations::Started> Operations::StartWith(const HubEntry& hub,
                                                          const std::string& kind,
                                                          const std::string& argument,
                                                          store::WriteSet writes) {
  CMK_RETURN_IF_ERROR(CheckRoom(hub.record.tenant()));
  const OperationRecord record = NewRecord(kind, argument);
  CMK_ASSIGN_OR_RETURN(const store::Sequence sequence, Keep(hub, record, std::move(writes)));
  Enqueue(std::make_shared<HubEntry>(hub), record);
  return Started{ToOperation(hub, record), sequence};
}

OperationRecord Operations::NewRecord(const std::string& kind, const std::string& argument) {
  const absl::Time now = clock_.WallNow();
  std::array<uint8_t, 4> salt;
  random_.Fill(salt);
  OperationRecord record;
  record.set_operation(absl::StrFormat("%s-%02x%02x%02x%02x", OperationIdsOf(now), salt[0], salt[1],
                                       salt[2], salt[3]));
  record.set_kind(kind);
  record.set_argument(argument);
  record.set_create_time_micros(absl::ToUnixMicros(now));
  record.set_update_time_micros(record.create_time_micros());
  return record;
}

absl::StatusOr<store::Sequence> Operations::Keep(const HubEntry& hub, const OperationRecord& record,
                                                 store::WriteSet writes) {
  // The pointer first: a crash between leaves one that points at nothing, never work that nobody
  // resumes.
  storage::v1::PendingOperation pending;
  pending.set_tenant(hub.record.tenant());
  pending.set_hub(hub.record.hub());
  pending.set_operation(record.operation());
  store::WriteSet pointer;
  store::PendingOperationsTable::Put(pointer, hub.uid, record.operation(), pending);
  CMK_RETURN_IF_ERROR(
      ApplyBlocking(engine_, store::CatalogPartition(), std::move(pointer)).status());
  store::OperationsTable::Put(writes, record.operation(), record);
  const absl::StatusOr<store::Sequence> sequence =
      ApplyBlocking(engine_, hub.partition, std::move(writes));
  if (!sequence.ok()) {
    // A commit that a failing disk refused may be found done after a crash: then it is resumed.
    const bool may_be_there = absl::StartsWith(ReasonOf(sequence.status()), "STORE_");
    if (!may_be_there) DropPointer(hub.uid, record.operation()).IgnoreError();
    return sequence.status();
  }
  Log(LogLevel::kInfo, "operation_started",
      {{"operation", OperationNameOf(hub, record.operation())}, {"kind", record.kind()}});
  return *sequence;
}

absl::Status Operations::DropPointer(HubUid hub, const std::string& id) {
  store::WriteSet pointer;
  store::PendingOperationsTable::Delete(pointer, hub, id);
  return ApplyBlocking(engine_, store::CatalogPartition(), std::move(pointer)).status();
}

absl::Status Operations::ResumeAll() {
  CMK_ASSIGN_OR_RETURN(const auto restore,
                       store::RestoreTable(engine_).Get(store::CatalogPartition()));
  const store::PendingOperationsTable pending(engine_);
  CMK_ASSIGN_OR_RETURN(auto pointers, pending.ListAll(nullptr, kPointersAtOnce));
  while (!pointers.empty()) {
    store::WriteSet stale;
    for (const auto& pointer : pointers) {
      if (Resume(pointer.hub, pointer.pending, restore.has_value())) continue;
      store::PendingOperationsTable::Delete(stale, pointer.hub, pointer.pending.operation());
    }
    if (!stale.empty()) {
      CMK_RETURN_IF_ERROR(
          ApplyBlocking(engine_, store::CatalogPartition(), std::move(stale)).status());
    }
    const auto last = std::move(pointers.back());
    CMK_ASSIGN_OR_RETURN(pointers, pending.ListAll(&last, kPointersAtOnce));
  }
  return absl::OkStatus();
}

bool Operations::Resume(HubUid uid, const storage::v1::PendingOperation& pointer,
                        bool is_restoring) {
  const absl::StatusOr<HubEntryPtr> hub = FindHub(pointer.tenant(), pointer.hub());
  const absl::StatusOr<OperationRecord> record =
      hub.ok() ? Load(**hub, pointer.operation()) : hub.status();
  if (record.ok() && !record->done()) {
    Enqueue(*hub, *record);
    return true;
  }
  // What a restore brings has its pointers before its hubs have their names.
  const bool is_purged = HasReason(record.status(), "HUB_NOT_FOUND") && !is_restoring;
  const bool is_absent = HasReason(record.status(), "OPERATION_NOT_FOUND");
  if (record.ok() || is_purged || is_absent) return false;
  Log(LogLevel::kWarning, "operation_not_resumed",
      {{"hub_uid", uid.ToHex()},
       {"operation", pointer.operation()},
       {"reason", ReasonOf(record.status())}});
  return true;
}

}  // namespace cmkstore::service
