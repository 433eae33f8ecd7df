#pragma once

#include <httplib.h>

#include "absl/time/time.h"

namespace cmkstore::service {

// httplib's server with bounds that it does not have: a request of at most 16 KiB must have come
// whole within a second of its connection, however it drips, and its answer be taken within five;
// and the newest connection is served first. Whoever holds connections open, or many, holds up
// neither a probe that comes after nor the end of the server.
//
// One request per connection. Threads: as httplib::Server.
class AdminHttpServer final : public httplib::Server {
 public:
  AdminHttpServer();

 private:
  bool process_and_close_socket(socket_t connection) override;
};

}  // namespace cmkstore::service
