#include "service/goaway.h"

#include <grpcpp/alarm.h>

#include <chrono>

#include "absl/synchronization/notification.h"

// grpc_core::Server::SendGoaways() of libgrpc: exported, but in no public header. A member function
// takes its object as first argument, and a grpc_server is its grpc_core::Server.
extern "C" void CmkGrpcServerSendGoaways(grpc_server* server) __asm__(
    "_ZN9grpc_core6Server11SendGoawaysEv");

namespace cmkstore::service {

void SendGoaways(grpc::Server& server) {
  absl::Notification sent;
  grpc::Alarm alarm;
  // In a callback of gRPC, because only its own threads carry what a transport needs when called.
  alarm.Set(std::chrono::system_clock::now(), [&](bool) {
    CmkGrpcServerSendGoaways(server.c_server());
    sent.Notify();
  });
  sent.WaitForNotification();
}

}  // namespace cmkstore::service
