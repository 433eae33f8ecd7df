#include "tests/bench/echo_server.h"

#include <grpcpp/server_builder.h>
#include <grpcpp/server_context.h>
#include <grpcpp/support/async_unary_call.h>

#include "service/rpc_server.h"

namespace cmkstore::bench {
namespace {

constexpr int kArmedCalls = 64;

}  // namespace

class EchoServer::Call {
 public:
  Call(Echo::AsyncService& service, grpc::ServerCompletionQueue& queue)
      : service_(service), queue_(queue), responder_(&context_) {
    service.RequestCall(&context_, &message_, &responder_, &queue, &queue, this);
  }

  void Complete(bool ok) {
    if (answered_ || !ok) {
      delete this;
      return;
    }
    new Call(service_, queue_);
    answered_ = true;
    responder_.Finish(message_, grpc::Status::OK, this);
  }

 private:
  Echo::AsyncService& service_;
  grpc::ServerCompletionQueue& queue_;
  grpc::ServerContext context_;
  EchoMessage message_;
  grpc::ServerAsyncResponseWriter<EchoMessage> responder_;
  bool answered_ = false;
};

absl::StatusOr<std::unique_ptr<EchoServer>> EchoServer::Start(
    const std::vector<Listener>& listeners) {
  std::unique_ptr<EchoServer> echo(new EchoServer());
  echo->ports_.resize(listeners.size());
  grpc::ServerBuilder builder;
  service::SetConnectionBounds(builder);
  for (size_t i = 0; i < listeners.size(); ++i) {
    builder.AddListeningPort(listeners[i].first, listeners[i].second, &echo->ports_[i]);
  }
  builder.RegisterService(&echo->service_);
  echo->queue_ = builder.AddCompletionQueue();
  echo->server_ = builder.BuildAndStart();
  if (echo->server_ == nullptr) return absl::InternalError("the echo server cannot listen");
  for (int i = 0; i < kArmedCalls; ++i) new Call(echo->service_, *echo->queue_);
  echo->thread_ = std::thread([server = echo.get()] { server->Serve(); });
  return echo;
}

EchoServer::~EchoServer() {
  if (server_ != nullptr) server_->Shutdown();
  if (queue_ != nullptr) queue_->Shutdown();
  if (thread_.joinable()) thread_.join();
}

std::shared_ptr<grpc::Channel> EchoServer::InProcessChannel() {
  return server_->InProcessChannel(grpc::ChannelArguments());
}

void EchoServer::Serve() {
  void* tag = nullptr;
  bool ok = false;
  while (queue_->Next(&tag, &ok)) static_cast<Call*>(tag)->Complete(ok);
}

}  // namespace cmkstore::bench
