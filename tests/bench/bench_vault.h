#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/curl_transport.h"
#include "tests/bench/child_process.h"

namespace cmkstore::bench {

// cmkdevvault in a process of its own, over HTTPS, and its owner's hands on it.
class BenchVault {
 public:
  // `program`: its path. Makes the key "hub-key" in it. Errors: INTERNAL.
  static absl::StatusOr<std::unique_ptr<BenchVault>> Start(const std::string& program,
                                                           const std::string& directory);

  const std::string& url() const { return url_; }
  const std::string& authority() const { return authority_; }
  const std::string& tenant() const { return tenant_; }
  const std::string& client_id() const { return client_id_; }
  const std::string& ca_file() const { return ca_file_; }
  const std::string& secret_file() const { return secret_file_; }
  // Of cmkstored, to reach it and log in to it.
  std::vector<std::string> ServerFlags() const;
  // Wrap, unwrap and get calls that it has answered.
  absl::StatusOr<int64_t> Calls();
  void Stop() { process_->Stop(); }

 private:
  BenchVault() = default;
  absl::StatusOr<HttpResponse> Send(const HttpRequest& request);

  std::unique_ptr<ChildProcess> process_;
  std::unique_ptr<CurlTransport> transport_;
  std::string url_, authority_, tenant_, client_id_, ca_file_, secret_file_, admin_token_;
};

}  // namespace cmkstore::bench
