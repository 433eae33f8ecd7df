// A watch is a coroutine on its queue's thread: it writes what has changed, waits, and looks again
// when it is woken: by a change, by the drain, or because its client has gone.

#include <utility>

#include "service/public_methods.h"

namespace cmkstore::service {

using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;

class HealthMethod::Watch final : public RpcCall {
 public:
  Watch(HealthMethod& method, CallEnvironment& environment)
      : RpcCall(environment, method.stats()), method_(method), writer_(&context_), left_(*this) {
    grpc::ServerCompletionQueue& queue = environment.queue();
    context_.AsyncNotifyWhenDone(static_cast<QueueEvent*>(&left_));
    method_.service_.RequestWatch(&context_, &request_, &writer_, &queue, &queue,
                                  static_cast<QueueEvent*>(this));
  }

  // Of the call's arrival, of a write, of the end.
  void Complete(bool ok) override {
    switch (state_) {
      case State::kArmed:
        if (!ok) {  // the server shuts down and no call came: `left_` is told nothing either
          delete this;
          return;
        }
        new Watch(method_, environment_);
        state_ = State::kWatching;
        Run();
        return;
      case State::kWatching: writing_.resume(); return;
      case State::kEnding: EndPart(); return;
    }
  }

  // Under the mutex of the method. From any thread.
  void Wake() {
    woken_ = true;
    if (waiting_) environment_.executor().Resume(std::exchange(waiting_, nullptr));
  }

 private:
  enum class State { kArmed, kWatching, kEnding };

  // gRPC tells of the call's end beside what it tells of its parts, whoever ended it.
  class Left final : public QueueEvent {
   public:
    explicit Left(Watch& watch) : watch_(watch) {}
    void Complete(bool /*ok*/) override {
      watch_.gone_ = true;
      {
        absl::MutexLock lock(&watch_.method_.mutex_);
        watch_.Wake();
      }
      watch_.EndPart();
    }

   private:
    Watch& watch_;
  };

  struct Written {
    Watch& watch;
    const HealthCheckResponse& response;
    bool await_ready() { return false; }
    void await_suspend(std::coroutine_handle<> handle) {
      watch.writing_ = handle;
      watch.writer_.Write(response, static_cast<QueueEvent*>(&watch));
    }
    void await_resume() {}
  };

  struct Woken {
    Watch& watch;
    bool await_ready() { return false; }
    bool await_suspend(std::coroutine_handle<> handle) {
      absl::MutexLock lock(&watch.method_.mutex_);
      if (std::exchange(watch.woken_, false)) return false;
      watch.waiting_ = handle;
      return true;
    }
    void await_resume() {
      absl::MutexLock lock(&watch.method_.mutex_);
      watch.woken_ = false;
    }
  };

  HealthCheckResponse::ServingStatus Now() const {
    if (!method_.Knows(request_.service())) return HealthCheckResponse::SERVICE_UNKNOWN;
    return method_.serving_ ? HealthCheckResponse::SERVING : HealthCheckResponse::NOT_SERVING;
  }

  Detached Run() {
    grpc::Status end(grpc::StatusCode::UNAVAILABLE, "the server shuts down");
    if (request_.ByteSizeLong() > kMaxPublicRequest) {
      end = PublicRequestTooLarge();
    } else if (method_.AddWatch(*this)) {
      HealthCheckResponse told;
      for (;;) {
        if (const auto now = Now(); now != told.status()) {
          told.set_status(now);
          co_await Written{*this, told};
        }
        if (gone_ || environment_.draining()) break;
        co_await Woken{*this};
      }
      method_.RemoveWatch(*this);
    } else {
      end = {grpc::StatusCode::RESOURCE_EXHAUSTED, "too many watch the server's health"};
    }
    request_ = HealthCheckRequest();  // the end may be left unread for ever
    state_ = State::kEnding;
    writer_.Finish(end, static_cast<QueueEvent*>(this));
  }

  // Both, the end of the call and the word of it, come on the queue's thread, in either order.
  void EndPart() {
    if (++ended_ == 2) delete this;
  }

  HealthMethod& method_;
  HealthCheckRequest request_;
  grpc::ServerAsyncWriter<HealthCheckResponse> writer_;
  Left left_;
  State state_ = State::kArmed;
  std::coroutine_handle<> writing_;
  bool gone_ = false;
  int ended_ = 0;
  // Guarded by the mutex of the method.
  std::coroutine_handle<> waiting_;
  bool woken_ = false;
};

void HealthMethod::Arm(CallEnvironment& environment) {
  ArmCheck(environment);
  new Watch(*this, environment);
}

void HealthMethod::SetServing(bool serving) {
  serving_ = serving;
  WakeWatches();
}

void HealthMethod::WakeWatches() {
  absl::MutexLock lock(&mutex_);
  for (Watch* const watch : watches_) watch->Wake();
}

bool HealthMethod::AddWatch(Watch& watch) {
  absl::MutexLock lock(&mutex_);
  return watches_.size() < kMaxWatches && watches_.insert(&watch).second;
}

void HealthMethod::RemoveWatch(Watch& watch) {
  absl::MutexLock lock(&mutex_);
  watches_.erase(&watch);
}

}  // namespace cmkstore::service
