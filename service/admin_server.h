#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "service/health.h"

namespace httplib {
class Server;
}

namespace cmkstore::service {

// What the pages of the admin port are made of; called on its threads.
struct AdminPages {
  std::function<std::string()> metrics;      // Prometheus text
  std::function<std::string()> status_json;  // one JSON object
};

// The admin port: /livez, /readyz, /startupz, /metrics and /statusz over plain HTTP, for kubelet,
// Prometheus and people. Knows nothing of tenants and takes no input but GET. A few threads, one
// request per connection, short timeouts: whoever holds connections open holds only these.
//
// Answers health from the start on; metrics and status once Publish has been called.
//
// Thread-safe. `health` must outlive this.
class AdminServer {
 public:
  // `address`: HOST:PORT. Errors: STATE_INVALID when it cannot be bound.
  static absl::StatusOr<std::unique_ptr<AdminServer>> Start(const std::string& address,
                                                            const Health& health);
  ~AdminServer();

  void Publish(AdminPages pages);
  // Ends the answers under way; metrics and status are gone when it returns.
  void Withdraw();
  int port() const { return port_; }

 private:
  explicit AdminServer(const Health& health);
  void Route();

  const Health& health_;
  const std::unique_ptr<httplib::Server> server_;
  absl::Mutex mutex_;
  AdminPages pages_ ABSL_GUARDED_BY(mutex_);
  int port_ = 0;
  std::atomic<bool> ended_{false};
  std::thread thread_;
};

}  // namespace cmkstore::service
