#include "service/goaway.h"

#include <grpcpp/alarm.h>

#include <chrono>
#include <memory>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"

// grpc_core::Server::SendGoaways() of libgrpc: exported, but in no public header. A member function
// takes its object as first argument, and a grpc_server is its grpc_core::Server.
extern "C" void CmkGrpcServerSendGoaways(grpc_server* server) __asm__(
    "_ZN9grpc_core6Server11SendGoawaysEv");

namespace cmkstore::service {
namespace {

// Of one sending; shared with the callback, which may come when nobody waits for it any more.
struct Sending {
  absl::Mutex mutex;
  bool given_up ABSL_GUARDED_BY(mutex) = false;
  bool begun ABSL_GUARDED_BY(mutex) = false;
  absl::Notification sent;
};

}  // namespace

bool SendGoaways(grpc::Server& server, absl::Time deadline) {
  const auto sending = std::make_shared<Sending>();
  grpc::Alarm alarm;
  // In a callback of gRPC, because only its own threads carry what a transport needs when called.
  alarm.Set(std::chrono::system_clock::now(), [sending, c_server = server.c_server()](bool) {
    {
      absl::MutexLock lock(&sending->mutex);
      if (sending->given_up) return;
      sending->begun = true;
    }
    CmkGrpcServerSendGoaways(c_server);
    sending->sent.Notify();
  });
  if (sending->sent.WaitForNotificationWithDeadline(deadline)) return true;
  {
    absl::MutexLock lock(&sending->mutex);
    if (!sending->begun) {
      sending->given_up = true;
      return false;
    }
  }
  // It holds the server, and waits for nothing but locks of gRPC.
  sending->sent.WaitForNotification();
  return true;
}

}  // namespace cmkstore::service
