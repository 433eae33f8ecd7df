#include "service/grpc_log.h"

#include <grpc/support/log.h>

#include "absl/strings/str_cat.h"
#include "base/log.h"

namespace cmkstore::service {
namespace {

LogLevel LevelOf(gpr_log_severity severity) {
  switch (severity) {
    case GPR_LOG_SEVERITY_DEBUG: return LogLevel::kDebug;
    case GPR_LOG_SEVERITY_INFO: return LogLevel::kInfo;
    // Of one connection, whose trouble it is: a failed handshake is an error to the library.
    case GPR_LOG_SEVERITY_ERROR: return LogLevel::kWarning;
  }
  return LogLevel::kWarning;
}

void Forward(gpr_log_func_args* said) {
  Log(LevelOf(said->severity), "grpc",
      {{"message", said->message}, {"at", absl::StrCat(said->file, ":", said->line)}});
}

}  // namespace

void TakeOverGrpcLog() { gpr_set_log_function(Forward); }

}  // namespace cmkstore::service
