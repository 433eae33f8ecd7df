#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "base/http_transport.h"

namespace cmkstore {

struct CurlTransportOptions {
  std::string ca_file;  // PEM; empty: the system's
  std::vector<std::string>
      connect_to;  // "host:port:host:port", as curl's --connect-to (tests, private links)
  absl::Duration connect_timeout = absl::Seconds(2);
  size_t max_response_bytes = 256u << 10;
};

// HttpTransport over libcurl: TLS 1.2 or later with the peer verified, connections reused, no
// proxy, no redirects.
class CurlTransport final : public HttpTransport {
 public:
  explicit CurlTransport(CurlTransportOptions options);
  ~CurlTransport() override;
  absl::StatusOr<HttpResponse> Send(const HttpRequest& request, absl::Time deadline) override;

 private:
  class Handle;
  std::unique_ptr<Handle> Take();
  void GiveBack(std::unique_ptr<Handle> handle);

  const CurlTransportOptions options_;
  absl::Mutex mutex_;
  std::vector<std::unique_ptr<Handle>> idle_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace cmkstore
