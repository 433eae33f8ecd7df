#include "service/operation_codec.h"

#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/errors.h"
#include "cmkstore/v1/key_service.pb.h"
#include "google/rpc/error_details.pb.h"
#include "service/grpc_status.h"
#include "service/timestamps.h"

namespace cmkstore::service {

HubEntryPtr ServerEntry() {
  static const HubEntryPtr* const server = [] {
    auto entry = std::make_shared<HubEntry>();
    entry->partition = store::CatalogPartition();
    return new HubEntryPtr(std::move(entry));
  }();
  return *server;
}

bool IsServer(const HubEntry& hub) { return hub.uid == HubUid(); }

std::string OperationNameOf(const HubEntry& hub, absl::string_view id) {
  if (IsServer(hub)) return absl::StrCat(kServerOperations, id);
  return absl::StrCat(hub.Name(), "/operations/", id);
}

std::string OperationIdsOf(absl::Time created) {
  return absl::StrFormat("%016x", ~static_cast<uint64_t>(absl::ToUnixMicros(created)));
}

void SetEnd(const HubEntry& hub, const OperationResult& result,
            storage::v1::OperationRecord& record) {
  record.set_done(true);
  if (!result.ok()) {
    const std::string name = OperationNameOf(hub, record.operation());
    const absl::Status shown =
        Presentable(result.status(), absl::StrCat("operation ", name), {{"operation", name}});
    record.set_error_code(static_cast<int>(shown.code()));
    record.set_error_reason(ReasonOf(shown));
    record.set_error_message(std::string(shown.message()));
    return;
  }
  if (record.progress_total() != 0) record.set_progress_done(record.progress_total());
  google::protobuf::Any packed;
  packed.PackFrom(**result, kTypePrefix);
  record.set_result(packed.SerializeAsString());
}

google::longrunning::Operation ToOperation(const HubEntry& hub,
                                           const storage::v1::OperationRecord& record) {
  google::longrunning::Operation operation;
  operation.set_name(OperationNameOf(hub, record.operation()));
  v1::OperationMetadata metadata;
  metadata.set_kind(record.kind());
  *metadata.mutable_create_time() = ToTimestamp(record.create_time_micros());
  *metadata.mutable_update_time() = ToTimestamp(record.update_time_micros());
  metadata.set_done(record.progress_done());
  metadata.set_total(record.progress_total());
  metadata.set_cancel_requested(record.cancel_requested());
  operation.mutable_metadata()->PackFrom(metadata, kTypePrefix);
  operation.set_done(record.done());
  if (!record.done()) return operation;
  if (record.error_code() == 0) {
    operation.mutable_response()->ParseFromString(record.result());
  } else {
    operation.mutable_error()->set_code(record.error_code());
    operation.mutable_error()->set_message(record.error_message());
    google::rpc::ErrorInfo info;
    info.set_reason(record.error_reason());
    info.set_domain("cmkstore");
    operation.mutable_error()->add_details()->PackFrom(info, kTypePrefix);
  }
  return operation;
}

}  // namespace cmkstore::service
