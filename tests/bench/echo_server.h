#pragma once

#include <grpcpp/channel.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server.h>

#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "echo.grpc.pb.h"

namespace cmkstore::bench {

// The floor: a server that does nothing but answer, built as ours is (one completion queue, one
// thread, the same transport settings).
class EchoServer {
 public:
  using Listener = std::pair<std::string, std::shared_ptr<grpc::ServerCredentials>>;

  // Errors: INTERNAL when an address is taken.
  static absl::StatusOr<std::unique_ptr<EchoServer>> Start(const std::vector<Listener>& listeners);
  ~EchoServer();

  const std::vector<int>& ports() const { return ports_; }
  std::shared_ptr<grpc::Channel> InProcessChannel();

 private:
  class Call;
  EchoServer() = default;
  void Serve();

  Echo::AsyncService service_;
  std::unique_ptr<grpc::ServerCompletionQueue> queue_;
  std::unique_ptr<grpc::Server> server_;
  std::vector<int> ports_;
  std::thread thread_;
};

}  // namespace cmkstore::bench
