#pragma once

#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace cmkstore {

struct HttpRequest {
  std::string method = "GET";
  std::string url;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
};

struct HttpResponse {
  int status = 0;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;

  // Value of the first header of this name, matched without case; empty if there is none.
  absl::string_view Header(absl::string_view name) const;
};

// Sends one HTTP request. A status of the server is a value, also 500; redirects are answers, never
// followed.
//
// Thread-safe, blocking, bounded by `deadline` (wall clock). Bodies and headers may hold secrets:
// never log them.
//
// Errors: VAULT_UNREACHABLE whose message begins with the kind, which is also its cause (CauseOf):
// dns, connect, tls, timeout, too_large, transport.
class HttpTransport {
 public:
  virtual ~HttpTransport() = default;
  virtual absl::StatusOr<HttpResponse> Send(const HttpRequest& request, absl::Time deadline) = 0;
};

}  // namespace cmkstore
