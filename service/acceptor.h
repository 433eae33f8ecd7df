#pragma once

#include <grpcpp/server_builder.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <thread>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace cmkstore::service {

struct AcceptorOptions {
  // In all; never more than its part of a third of our descriptors.
  size_t max_connections = 10'000;
  size_t max_per_peer = 1'000;  // of one IPv4 address, one IPv6 /64, or the Unix socket
  size_t acceptors = 1;         // that share that third
};

struct AcceptorStats {
  uint64_t open = 0;
  uint64_t accepted = 0;
  uint64_t refused = 0;  // closed at once: one of the caps
  uint64_t failed = 0;   // accepts that failed for want of a descriptor or of memory
};

// Accepts the connections of one listening socket and hands them to gRPC.
//
// gRPC 1.51's own listener stops accepting for ever after one accept that found no free descriptor
// (CVE-2023-4785). This one waits a moment and tries again, and its caps keep one peer, or all of
// them together, from using up the descriptors.
//
// A connection belongs to gRPC from the moment it is handed over. To know when it ends, a duplicate
// of its descriptor is watched for the hang-up that gRPC's shutdown of the socket makes: each
// connection takes two descriptors.
//
// Listen, then Start, then StopAccepting, then AwaitEnds, from one thread; Stats from any.
class Acceptor {
 public:
  using Sink = grpc::experimental::ExternalConnectionAcceptor;

  // `address`: "127.0.0.1:0", "[::]:7443", "localhost:7443", "unix:/run/cmkstore.sock". Binds; does
  // not accept yet. Errors: INVARIANT naming the address that could not be bound.
  static absl::StatusOr<std::unique_ptr<Acceptor>> Listen(const std::string& address,
                                                          AcceptorOptions options);
  ~Acceptor();
  Acceptor(const Acceptor&) = delete;
  Acceptor& operator=(const Acceptor&) = delete;

  int port() const { return port_; }  // 0 for a Unix socket
  void Start(std::unique_ptr<Sink> sink);
  // Closes the listening socket. Connections go on.
  void StopAccepting();
  // After StopAccepting: waits until every connection has ended. False: `deadline` came first.
  bool AwaitEnds(absl::Time deadline);
  AcceptorStats Stats() const;

 private:
  Acceptor(int listener, int port, AcceptorOptions options);
  void Loop();
  void AcceptAll();
  void HandOver(int connection);
  void Ended(int watched);
  void Watch(int descriptor, uint32_t events);

  const AcceptorOptions options_;
  const int port_;
  int listener_, epoll_, stop_;
  std::unique_ptr<Sink> sink_;
  // The thread's own:
  absl::flat_hash_map<int, std::string> watched_;  // duplicate descriptor → peer
  std::map<std::string, size_t> per_peer_;
  bool paused_ = false;   // the listener is not looked at until the next try
  bool failing_ = false;  // since the last connection that could be taken
  std::atomic<uint64_t> open_{0}, accepted_{0}, refused_{0}, failed_{0};
  std::thread thread_;
};

}  // namespace cmkstore::service
