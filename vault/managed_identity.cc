#include "vault/managed_identity.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/errors.h"
#include "vault/login_refusal.h"
#include "vault/url_encode.h"

namespace cmkstore::vault {
namespace {

constexpr absl::Duration kFirstDelay = absl::Seconds(2);
constexpr int kRetries = 4;
constexpr absl::Duration kUpdateTime = absl::Seconds(70);
constexpr absl::Duration kAttemptTime = absl::Seconds(10);
constexpr absl::Duration kSlice = absl::Milliseconds(200);  // how soon Cancel is heeded

}  // namespace

bool ManagedIdentity::Wait(absl::Duration delay) {
  for (; delay > absl::ZeroDuration() && !cancelled_; delay -= kSlice) {
    clock_.Sleep(std::min(delay, kSlice));
  }
  return !cancelled_;
}

absl::StatusOr<AccessToken> ManagedIdentity::Fetch(const TokenRequest& wanted,
                                                   absl::Time deadline) {
  HttpRequest request;
  request.url = absl::StrCat(options_.imds_url,
                             "/metadata/identity/oauth2/token?api-version=2018-02-01&resource=",
                             UrlEncode(wanted.resource));
  if (!options_.client_id.empty()) {
    absl::StrAppend(&request.url, "&client_id=", UrlEncode(options_.client_id));
  }
  request.headers = {{"Metadata", "true"}};
  const absl::Time began = clock_.WallNow();
  absl::Duration delay = kFirstDelay;
  for (int retry = 0;; ++retry, delay *= 2) {
    const absl::Time now = clock_.WallNow();
    const auto response = transport_.Send(request, std::min(deadline, now + kAttemptTime));
    if (response.ok() && response->status == 200) {
      return ParseTokenAnswer(*response, clock_.WallNow());
    }
    const absl::Status failure =
        response.ok() ? LoginRefused("the instance metadata service", *response)
                      : VaultLoginFailed(absl::StrCat("the instance metadata service: ",
                                                      response.status().message()));
    const int status = response.ok() ? response->status : 500;
    if (status == 410) {
      delay = std::min(delay, began + kUpdateTime - clock_.WallNow());
      if (delay <= absl::ZeroDuration()) return failure;
    } else if ((status != 404 && status != 429 && status < 500) || retry == kRetries) {
      return failure;
    }
    if (clock_.WallNow() + delay >= deadline || !Wait(delay)) return failure;
  }
}

}  // namespace cmkstore::vault
