#include "vault/vault_http.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "base/errors.h"
#include "base/ids.h"
#include "base/log.h"
#include "base/request_scope.h"

namespace cmkstore::vault {
namespace {

// What the vault's own log of this call says, if it says it: a GUID. Nothing else of a vault's
// words reaches our log.
std::string RequestIdOf(const HttpResponse& response) {
  constexpr size_t kLongest = 36;
  const absl::string_view id = response.Header("x-ms-request-id");
  const bool is_id = id.size() <= kLongest && std::all_of(id.begin(), id.end(), [](char c) {
                       return c == '-' || absl::ascii_isxdigit(static_cast<unsigned char>(c));
                     });
  return is_id ? std::string(id) : "";
}

}  // namespace

absl::StatusOr<HttpResponse> VaultHttp::Send(const Call& call, HttpRequest& request,
                                             absl::Time deadline) {
  const std::string call_id = random_.NewUid<HubUid>().ToHex();
  request.headers.emplace_back("x-ms-client-request-id", call_id);
  const absl::Time began = clock_.MonotonicNow();
  absl::StatusOr<HttpResponse> response = transport_.Send(request, deadline);
  // Of a request that failed for it, whoever looks into it needs the ids at any level. A vault that
  // goes on refusing probes would fill the log.
  const std::string request_id = RequestScope::Current();
  const bool failed = !response.ok() || response->status != call.good_status;
  Log(failed && !request_id.empty() ? LogLevel::kInfo : LogLevel::kDebug, "vault_call",
      {{"request_id", request_id},
       {"vault_request_id", call_id},
       {"answered_request_id", response.ok() ? RequestIdOf(*response) : ""},
       {"vault", call.vault_uri},
       {"operation", std::string(call.operation)},
       {"status", response.ok() ? absl::StrCat(response->status) : CauseOf(response.status())},
       {"ms", absl::StrCat(absl::ToInt64Milliseconds(clock_.MonotonicNow() - began))}});
  return response;
}

}  // namespace cmkstore::vault
