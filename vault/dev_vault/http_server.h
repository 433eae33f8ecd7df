#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "vault/dev_vault/call_log.h"
#include "vault/dev_vault/fault_script.h"
#include "vault/dev_vault/http_call.h"

namespace cmkstore::dev_vault {

struct HttpServerOptions {
  std::string address;
  int port = 0;  // 0: any free one
  // Empty: plain HTTP.
  std::string certificate_file;
  std::string key_file;
  bool tls_1_2_only = false;
  // A connection holds a thread while it is open.
  size_t threads = 32;
};

// An HTTP server of one address: hands calls to the handlers of its routes, and plays scripted
// faults on those that have an operation. A handler that throws on JSON of a wrong shape is
// answered for with 400.
//
// Bind, then Route for each route, then Start. Handlers run on many threads. `faults` and `log`
// must outlive this.
class HttpServer {
 public:
  HttpServer(HttpServerOptions options, FaultScript& faults, CallLog& log);
  ~HttpServer();

  // The port. Errors: STATE_INVALID.
  absl::StatusOr<int> Bind();
  // `pattern` is a regular expression for the whole path. Calls of an empty operation are neither
  // logged nor subject to faults.
  void Route(const std::string& method, const std::string& pattern, const std::string& operation,
             HttpHandler handler);
  void Start();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace cmkstore::dev_vault
