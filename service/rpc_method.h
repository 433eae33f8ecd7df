#pragma once

#include <grpcpp/completion_queue.h>
#include <grpcpp/impl/service_type.h>
#include <grpcpp/server_context.h>
#include <grpcpp/support/async_stream.h>
#include <grpcpp/support/async_unary_call.h>
#include <grpcpp/support/byte_buffer.h>

#include <coroutine>
#include <functional>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/strip.h"
#include "absl/time/time.h"
#include "service/call_environment.h"
#include "service/call_log.h"
#include "service/call_stats.h"
#include "service/grpc_status.h"
#include "service/queue_executor.h"
#include "service/request_bytes.h"
#include "service/request_gate.h"
#include "service/rpc_call.h"
#include "service/task.h"

// The one adapter between gRPC's completion queues and handlers.
//
// A handler is a coroutine that is given an admitted call and a request and returns a StatusOr: it
// never sees gRPC. It starts on the queue's thread; when it waits, the thread goes on with other
// calls. Who may call, and on what, is said once, where the method is added.

namespace cmkstore::service {

// What a handler is given: proof that the call was let in, and the way back to its queue's thread.
struct CallContext {
  const AdmittedCall& admitted;
  QueueExecutor& executor;
};

// Something that can be armed on a queue: waits there for the next call of its method.
class RpcMethod {
 public:
  explicit RpcMethod(std::string name) : stats_(std::move(name)) {}
  virtual ~RpcMethod() = default;
  virtual void Arm(CallEnvironment& environment) = 0;
  MethodStats& stats() { return stats_; }

  // Calls of it are few: a handful armed are enough.
  void SetRare() { rare_ = true; }
  bool rare() const { return rare_; }

 private:
  MethodStats stats_;
  bool rare_ = false;
};

// By the rule of the API: the request of method X is XRequest.
template <typename Request>
std::string MethodNameOf() {
  return std::string(absl::StripSuffix(Request::descriptor()->name(), "Request"));
}

// Asks gRPC for calls with the bytes of their message. Given the message, it would parse it before
// anybody has looked at the call, and answer by itself, with INTERNAL, one that does not parse.
class RawCalls : private grpc::Service {
 public:
  using Request = void (grpc::Service::*)(int method, grpc::ServerContext*, grpc::ByteBuffer*,
                                          grpc::internal::ServerAsyncStreamingInterface*,
                                          grpc::CompletionQueue*, grpc::ServerCompletionQueue*,
                                          void* tag);
  static constexpr Request kUnary = &RawCalls::RequestAsyncUnary<grpc::ByteBuffer>;
  static constexpr Request kServerStreaming =
      &RawCalls::RequestAsyncServerStreaming<grpc::ByteBuffer>;
};

template <typename Request, typename Response>
class UnaryMethod final : public RpcMethod {
 public:
  using Handler = std::function<Task<absl::StatusOr<Response>>(const CallContext&, const Request&)>;

  // `index`: of the method among those of the service.
  UnaryMethod(grpc::Service& service, int index, MethodRule<Request> rule, Handler handler)
      : RpcMethod(MethodNameOf<Request>()),
        service_(service),
        index_(index),
        rule_(std::move(rule)),
        handler_(std::move(handler)) {}

  void Arm(CallEnvironment& environment) override { new Call(*this, environment); }

 private:
  class Call final : public RpcCall {
   public:
    Call(UnaryMethod& method, CallEnvironment& environment)
        : RpcCall(environment, method.stats()), method_(method), responder_(&context_) {
      grpc::ServerCompletionQueue& queue = environment.queue();
      (method_.service_.*RawCalls::kUnary)(method_.index_, &context_, &bytes_, &responder_, &queue,
                                           &queue, static_cast<QueueEvent*>(this));
    }

    void Complete(bool ok) override {
      if (finishing_ || !ok) {  // ended, or the server shuts down and no call came
        delete this;
        return;
      }
      method_.Arm(environment_);
      Run();
    }

   private:
    Detached Run() {
      const size_t answer = IsRead(method_.rule_.permission) ? 0 : RequestBytes::kSmall;
      absl::StatusOr<AdmittedCall> admitted = Admit(method_.rule_, request_, answer);
      if (!admitted.ok()) {
        Finish(admitted.status());
        co_return;
      }
      const CallContext context{*admitted, environment_.executor()};
      absl::StatusOr<Response> response = co_await method_.handler_(context, request_);
      // What was written is told, however large the answer.
      if (response.ok() && IsRead(method_.rule_.permission)) {
        const absl::Status room = HoldAnswer(admitted->caller().tenant, response->ByteSizeLong());
        if (!room.ok()) response = room;
      }
      if (response.ok()) {
        finishing_ = true;
        Note(absl::OkStatus());
        responder_.Finish(*response, grpc::Status::OK, static_cast<QueueEvent*>(this));
      } else {
        Finish(response.status());
      }
    }

    void Note(const absl::Status& status) {
      const absl::Duration taken = Answered(status);
      stats_.latency.Observe(taken);
      LogCall(stats_, context_, request_id_, status, taken);
    }

    void Finish(const absl::Status& status) {
      finishing_ = true;
      Note(status);
      responder_.FinishWithError(ToGrpcStatus(status, request_id_), static_cast<QueueEvent*>(this));
    }

    UnaryMethod& method_;
    Request request_;
    grpc::ServerAsyncResponseWriter<Response> responder_;
    bool finishing_ = false;
  };

  grpc::Service& service_;
  const int index_;
  const MethodRule<Request> rule_;
  const Handler handler_;
};

// The sending side of a server-streaming call, as its handler sees it.
template <typename Response>
class ResponseStream {
 public:
  virtual ~ResponseStream() = default;

  // Whether there is room for a message of so many bytes until it is handed to the transport, which
  // a client that does not read may delay for ever. To be asked before Write.
  virtual bool HasRoom(size_t bytes) = 0;
  // Completes when the message was handed to the transport; false when the client is gone.
  auto Write(const Response& response) {
    struct Awaiter {
      ResponseStream& stream;
      const Response& response;
      bool await_ready() { return false; }
      void await_suspend(std::coroutine_handle<> handle) {
        stream.waiting_ = handle;
        stream.StartWrite(response);
      }
      bool await_resume() { return stream.write_ok_; }
    };
    return Awaiter{*this, response};
  }
  // Whether the call would be let in again: its token, its network, its roles (RequestGate). To be
  // asked before each part, as a call of its own would have been.
  virtual absl::Status AdmitAgain() = 0;
  // Whether the client is known to be gone.
  virtual bool client_gone() const = 0;
  // That, or the server drains; a handler that waits should look.
  virtual bool cancelled() const = 0;

 protected:
  virtual void StartWrite(const Response& response) = 0;
  std::coroutine_handle<> waiting_;
  bool write_ok_ = false;
};

template <typename Request, typename Response>
class StreamMethod final : public RpcMethod {
 public:
  // Returns how the stream ends.
  using Handler = std::function<Task<absl::Status>(const CallContext&, const Request&,
                                                   ResponseStream<Response>&)>;

  StreamMethod(grpc::Service& service, int index, MethodRule<Request> rule, Handler handler)
      : RpcMethod(MethodNameOf<Request>()),
        service_(service),
        index_(index),
        rule_(std::move(rule)),
        handler_(std::move(handler)) {}

  void Arm(CallEnvironment& environment) override { new Call(*this, environment); }

 private:
  class Call final : public RpcCall, public ResponseStream<Response> {
   public:
    Call(StreamMethod& method, CallEnvironment& environment)
        : RpcCall(environment, method.stats()), method_(method), writer_(&context_) {
      grpc::ServerCompletionQueue& queue = environment.queue();
      (method_.service_.*RawCalls::kServerStreaming)(method_.index_, &context_, &bytes_, &writer_,
                                                     &queue, &queue,
                                                     static_cast<QueueEvent*>(this));
    }

    void Complete(bool ok) override {
      switch (state_) {
        case State::kWaiting:
          if (!ok) {
            delete this;
            return;
          }
          method_.Arm(environment_);
          state_ = State::kStreaming;
          Run();
          return;
        case State::kStreaming:
          this->write_ok_ = ok;
          answer_ = {};
          if (!ok) client_gone_ = true;
          this->waiting_.resume();
          return;
        case State::kFinishing: delete this; return;
      }
    }

    absl::Status AdmitAgain() override {
      const absl::StatusOr<ResourceScope> scope = method_.rule_.scope(request_);
      if (!scope.ok()) return scope.status();
      return environment_.AdmitAgain(context_, method_.rule_.permission, *scope);
    }
    bool HasRoom(size_t bytes) override { return HoldAnswer(tenant_, bytes).ok(); }
    bool client_gone() const override { return client_gone_; }
    bool cancelled() const override { return client_gone_ || environment_.draining(); }

   private:
    enum class State { kWaiting, kStreaming, kFinishing };
    // Kept for the life of the stream.
    static constexpr size_t kMaxStreamRequest = RequestBytes::kSmall;

    void StartWrite(const Response& response) override {
      writer_.Write(response, static_cast<QueueEvent*>(this));
    }

    Detached Run() {
      absl::StatusOr<AdmittedCall> admitted =
          Admit(method_.rule_, request_, RequestBytes::kSmall, kMaxStreamRequest);
      absl::Status status = admitted.status();
      if (admitted.ok()) {
        tenant_ = admitted->caller().tenant;
        const CallContext context{*admitted, environment_.executor()};
        status = co_await method_.handler_(context, request_, *this);
      }
      state_ = State::kFinishing;
      Answered(status);
      LogCall(stats_, context_, request_id_, status, absl::ZeroDuration());
      writer_.Finish(ToGrpcStatus(status, request_id_), static_cast<QueueEvent*>(this));
    }

    StreamMethod& method_;
    Request request_;
    std::string tenant_;
    grpc::ServerAsyncWriter<Response> writer_;
    State state_ = State::kWaiting;
    bool client_gone_ = false;
  };

  grpc::Service& service_;
  const int index_;
  const MethodRule<Request> rule_;
  const Handler handler_;
};

}  // namespace cmkstore::service
