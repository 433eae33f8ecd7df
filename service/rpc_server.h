#pragma once

#include <grpcpp/channel.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/request_scope.h"
#include "base/worker.h"
#include "service/acceptor.h"
#include "service/awaiters.h"
#include "service/call_environment.h"
#include "service/public_methods.h"
#include "service/rpc_method.h"

namespace cmkstore::service {

struct RpcListener {
  std::string address;  // "127.0.0.1:0", "unix:/run/cmkstore.sock"
  std::shared_ptr<grpc::ServerCredentials> credentials;
  int bound_port = 0;  // set by Start
};

struct RpcServerOptions {
  size_t queues = 1;        // completion queues, one thread each
  size_t armed_calls = 16;  // calls of one method that may arrive at once per queue
  // For handlers that wait for a vault, and as many for those that wait for disk; a quarter of
  // them, at least one, those of one tenant.
  size_t control_threads = 16;
  size_t max_queued_control_calls = 1024;
  // Twice the largest batch: what is somewhat too large is still refused by its field and limit,
  // what is far too large by gRPC.
  size_t max_request_bytes = 16u << 20;
  // That large requests under way may hold together; a quarter of it those of one tenant. As much
  // again large answers that callers have not taken yet, and as much again all calls beside them.
  size_t max_bytes_under_way = 256u << 20;
  AcceptorOptions connections;  // of each listener
};

// Bounds that keep one connection from taking a server of gRPC 1.51 (docs/operations.md).
void SetConnectionBounds(grpc::ServerBuilder& builder);

// What a handler that blocks may wait for; each kind has threads of its own. A read of what is on
// disk may wait a moment for a vault, for what it shows more with the keys.
enum class BlocksFor { kDisk, kVault, kLock };

// The gRPC server: owns the queues, their threads and the methods.
//
// Add everything, then Start, then Shutdown once. A queue's thread runs handlers until they wait;
// it never waits for a vault or a disk sync itself. Not thread-safe but for channels made by
// InProcessChannel.
class RpcServer {
 public:
  // `gate` must outlive this.
  RpcServer(RpcServerOptions options, RequestGate& gate);
  ~RpcServer();

  // `ServiceType`: the class that the service's proto has become.
  template <typename ServiceType>
  typename ServiceType::AsyncService& AddService() {
    auto service = std::make_unique<typename ServiceType::AsyncService>();
    auto& added = *service;
    services_.push_back(std::move(service));
    service_names_.push_back(ServiceType::service_full_name());
    return added;
  }

  // `request`, which gRPC has made of the proto, says which method of the service.
  template <typename Service, typename Request, typename Response>
  void AddUnary(std::type_identity_t<Service>& service,
                void (Service::* /*request*/)(grpc::ServerContext*, Request*,
                                              grpc::ServerAsyncResponseWriter<Response>*,
                                              grpc::CompletionQueue*, grpc::ServerCompletionQueue*,
                                              void*),
                MethodRule<Request> rule,
                typename UnaryMethod<Request, Response>::Handler handler) {
    methods_.push_back(std::make_unique<UnaryMethod<Request, Response>>(
        service, IndexOf(service, MethodNameOf<Request>()), std::move(rule), std::move(handler)));
  }

  // A handler that may block: it runs on a thread of its kind.
  template <typename Service, typename Request, typename Response>
  void AddBlocking(std::type_identity_t<Service>& service,
                   void (Service::*request)(grpc::ServerContext*, Request*,
                                            grpc::ServerAsyncResponseWriter<Response>*,
                                            grpc::CompletionQueue*, grpc::ServerCompletionQueue*,
                                            void*),
                   MethodRule<Request> rule,
                   std::type_identity_t<
                       std::function<absl::StatusOr<Response>(const AdmittedCall&, const Request&)>>
                       handler,
                   BlocksFor blocks_for = BlocksFor::kDisk) {
    Worker& worker = blocks_for == BlocksFor::kDisk    ? disk_
                     : blocks_for == BlocksFor::kVault ? vault_
                                                       : lock_;
    auto counted = [this, scope = rule.scope, handler = std::move(handler)](
                       const AdmittedCall& call, const Request& message) {
      absl::StatusOr<Response> response = handler(call, message);
      if (response.ok()) on_control_call_(scope(message));
      return response;
    };
    AddUnary<Service, Request, Response>(
        service, request, std::move(rule),
        [&worker, counted = std::move(counted)](
            const CallContext& context, const Request& message) -> Task<absl::StatusOr<Response>> {
          return RunOnWorker<Request, Response>(worker, counted, context, message);
        });
    methods_.back()->SetRare();
  }

  template <typename Service, typename Request, typename Response>
  void AddStream(std::type_identity_t<Service>& service,
                 void (Service::* /*request*/)(grpc::ServerContext*, Request*,
                                               grpc::ServerAsyncWriter<Response>*,
                                               grpc::CompletionQueue*, grpc::ServerCompletionQueue*,
                                               void*),
                 MethodRule<Request> rule,
                 typename StreamMethod<Request, Response>::Handler handler) {
    methods_.push_back(std::make_unique<StreamMethod<Request, Response>>(
        service, IndexOf(service, MethodNameOf<Request>()), std::move(rule), std::move(handler)));
    methods_.back()->SetRare();
  }

  // Errors: INVARIANT naming the address that could not be bound.
  absl::Status Start(std::vector<RpcListener>& listeners);
  std::shared_ptr<grpc::Channel> InProcessChannel();
  // What grpc.health.v1 says of the server and of each service.
  void SetServing(bool serving);
  // How long the slowest queue has not answered. To be called by one thread, about once a second,
  // between Start and Shutdown.
  absl::Duration QueueSilence(absl::Time now);
  // Refuses new calls, lets those in flight finish until `grace` has passed, then cuts them.
  void Shutdown(absl::Duration grace);
  const CallStats& stats() const { return stats_; }
  // After the last Add…; each lives as long as this.
  std::vector<MethodStats*> MethodsStats() const;
  // Of all listeners together; after Start.
  AcceptorStats ConnectionStats() const;
  // Runs at the begin of Shutdown: wakes whatever waits for something that may never come.
  void OnDrain(std::function<void()> wake) { on_drain_ = std::move(wake); }
  // Runs, on a control thread, when a blocking handler has succeeded; told what the call was about.
  void OnControlCall(std::function<void(const absl::StatusOr<ResourceScope>&)> hear) {
    on_control_call_ = std::move(hear);
  }

 private:
  template <typename Request, typename Response, typename Handler>
  static Task<absl::StatusOr<Response>> RunOnWorker(Worker& worker, const Handler& handler,
                                                    const CallContext& context,
                                                    const Request& message) {
    OnWorker moved(worker, context.admitted.caller().tenant);
    absl::Status status = co_await moved;
    if (!status.ok()) co_return status;
    const RequestScope scope(context.admitted.request_id());
    co_return handler(context.admitted, message);
  }

  void AddPublicMethods();
  // The place of a method in its service's proto, by which gRPC knows it.
  int IndexOf(const grpc::Service& service, const std::string& method) const;
  void Serve(CallEnvironment& environment);

  const RpcServerOptions options_;
  RequestGate& gate_;
  CallRoom room_;
  RequestBytes request_bytes_, answer_bytes_;
  Worker vault_, disk_, lock_;  // see BlocksFor
  CallStats stats_;
  std::vector<std::unique_ptr<grpc::Service>> services_;
  std::vector<std::string> service_names_;
  std::vector<std::unique_ptr<RpcMethod>> methods_;
  HealthMethod* health_ = nullptr;  // of methods_, once started
  std::vector<std::unique_ptr<CallEnvironment>> environments_;
  std::vector<std::unique_ptr<Acceptor>> acceptors_;
  std::unique_ptr<grpc::Server> server_;
  std::vector<std::thread> threads_;
  std::function<void()> on_drain_ = [] {};
  std::function<void(const absl::StatusOr<ResourceScope>&)> on_control_call_ = [](const auto&) {};
};

}  // namespace cmkstore::service
