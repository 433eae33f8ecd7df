#include "service/rpc_server.h"

#include <google/protobuf/descriptor.h>
#include <pthread.h>

#include <algorithm>

#include "absl/time/clock.h"
#include "base/errors.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "service/goaway.h"

namespace cmkstore::service {
namespace {

constexpr int kMaxConcurrentStreams = 100;
// Beyond it gRPC ends the connection with all of its calls: well above what a token may have.
constexpr int kMaxMetadataBytes = 16 << 10;
// Debian's gRPC is built with its assertions: each event of a queue walks through all that is armed
// there, so what is seldom called is armed sparingly.
constexpr size_t kArmedRareCalls = 2;
// A lock may wait for a disk that hangs, and other tenants' locks must not. A tenant's own come one
// after the other: what was asked last of a hub holds.
constexpr size_t kLockThreads = 8;

// Of threads and of places in line, what calls of one tenant may take: a vault that hangs is its
// tenant's trouble.
size_t ShareOfOne(size_t of_all) { return std::max<size_t>(1, of_all / 4); }

WorkerOptions OptionsOf(const std::string& name, size_t threads, const RpcServerOptions& options) {
  return {.name = name,
          .threads = threads,
          .max_queued = options.max_queued_control_calls,
          .threads_of_one = ShareOfOne(threads),
          .max_queued_of_one = ShareOfOne(options.max_queued_control_calls)};
}

}  // namespace

void SetConnectionBounds(grpc::ServerBuilder& builder) {
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, kMaxConcurrentStreams);
  builder.AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE, kMaxMetadataBytes);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MAX_PING_STRIKES, 2);
  // Clients may look each 20 s whether a server that says nothing is still there.
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 20 * 1000);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_IDLE_MS, 5 * 60 * 1000);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_AGE_MS, 30 * 60 * 1000);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_AGE_GRACE_MS, 30 * 1000);
  builder.AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, 5 * 1000);
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  // gRPC compares a message's length with its bound before it inflates it, and inflates it before
  // anybody has looked at the token: a thousandfold of what was sent. So nothing is inflated, and
  // what comes compressed is refused.
  builder.AddChannelArgument(GRPC_ARG_ENABLE_PER_MESSAGE_DECOMPRESSION, 0);
  for (const auto compression : {GRPC_COMPRESS_DEFLATE, GRPC_COMPRESS_GZIP}) {
    builder.SetCompressionAlgorithmSupportStatus(compression, false);
  }
}

RpcServer::RpcServer(RpcServerOptions options, RequestGate& gate)
    : options_(options),
      gate_(gate),
      room_(options.max_bytes_under_way),
      request_bytes_(options.max_bytes_under_way, "requests under way"),
      answer_bytes_(options.max_bytes_under_way, "answers that have not been read"),
      vault_(OptionsOf("control-vault", options.control_threads, options)),
      disk_(OptionsOf("control-disk", options.control_threads, options)),
      lock_({.name = "control-lock",
             .threads = kLockThreads,
             .max_queued = options.max_queued_control_calls,
             .threads_of_one = 1,
             .max_queued_of_one = ShareOfOne(options.max_queued_control_calls)}) {}

RpcServer::~RpcServer() { Shutdown(absl::ZeroDuration()); }

int RpcServer::IndexOf(const grpc::Service& service, const std::string& method) const {
  for (size_t i = 0; i < services_.size(); ++i) {
    if (services_[i].get() != &service) continue;
    return google::protobuf::DescriptorPool::generated_pool()
        ->FindServiceByName(service_names_[i])
        ->FindMethodByName(method)
        ->index();
  }
  return -1;
}

void RpcServer::AddPublicMethods() {
  auto& health = AddService<grpc::health::v1::Health>();
  auto& reflection = AddService<grpc::reflection::v1alpha::ServerReflection>();
  auto method = std::make_unique<HealthMethod>(health, service_names_);
  health_ = method.get();
  methods_.push_back(std::move(method));
  methods_.push_back(std::make_unique<ReflectionMethod>(reflection, service_names_));
  for (size_t i = methods_.size() - 2; i < methods_.size(); ++i) methods_[i]->SetRare();
}

absl::Status RpcServer::Start(std::vector<RpcListener>& listeners) {
  AddPublicMethods();
  grpc::ServerBuilder builder;
  SetConnectionBounds(builder);
  builder.SetMaxReceiveMessageSize(static_cast<int>(options_.max_request_bytes));
  // What has come in and is not known to be a request yet; who it is from neither.
  grpc::ResourceQuota memory("rpc");
  memory.Resize(2 * options_.max_bytes_under_way);
  builder.SetResourceQuota(memory);
  std::vector<std::unique_ptr<Acceptor::Sink>> sinks;
  AcceptorOptions connections = options_.connections;
  connections.acceptors = std::max<size_t>(1, listeners.size());
  for (RpcListener& listener : listeners) {
    CMK_ASSIGN_OR_RETURN(std::unique_ptr<Acceptor> acceptor,
                         Acceptor::Listen(listener.address, connections));
    listener.bound_port = acceptor->port();
    acceptors_.push_back(std::move(acceptor));
    using Type = grpc::ServerBuilder::experimental_type::ExternalConnectionType;
    sinks.push_back(
        builder.experimental().AddExternalConnectionAcceptor(Type::FROM_FD, listener.credentials));
  }
  for (const auto& service : services_) builder.RegisterService(service.get());
  for (size_t i = 0; i < options_.queues; ++i) {
    environments_.push_back(std::make_unique<CallEnvironment>(
        builder.AddCompletionQueue(), gate_, room_, request_bytes_, answer_bytes_, stats_));
  }
  server_ = builder.BuildAndStart();
  if (server_ == nullptr) {
    for (const auto& environment : environments_) environment->queue().Shutdown();
    return InvariantBroken("the gRPC server does not start");
  }
  for (const auto& environment : environments_) {
    for (const auto& method : methods_) {
      const size_t armed = method->rare() ? kArmedRareCalls : options_.armed_calls;
      for (size_t i = 0; i < armed; ++i) method->Arm(*environment);
    }
    threads_.emplace_back([this, &environment = *environment] { Serve(environment); });
    pthread_setname_np(threads_.back().native_handle(), "rpc-queue");
  }
  for (size_t i = 0; i < acceptors_.size(); ++i) acceptors_[i]->Start(std::move(sinks[i]));
  return absl::OkStatus();
}

std::shared_ptr<grpc::Channel> RpcServer::InProcessChannel() {
  return server_->InProcessChannel(grpc::ChannelArguments());
}

void RpcServer::Serve(CallEnvironment& environment) {
  void* tag = nullptr;
  bool ok = false;
  while (environment.queue().Next(&tag, &ok)) static_cast<QueueEvent*>(tag)->Complete(ok);
}

std::vector<MethodStats*> RpcServer::MethodsStats() const {
  std::vector<MethodStats*> all;
  for (const auto& method : methods_) all.push_back(&method->stats());
  return all;
}

AcceptorStats RpcServer::ConnectionStats() const {
  AcceptorStats sum;
  for (const auto& acceptor : acceptors_) {
    const AcceptorStats one = acceptor->Stats();
    sum.open += one.open;
    sum.accepted += one.accepted;
    sum.refused += one.refused;
    sum.failed += one.failed;
  }
  return sum;
}

void RpcServer::SetServing(bool serving) {
  if (health_ != nullptr) health_->SetServing(serving);
}

absl::Duration RpcServer::QueueSilence(absl::Time now) {
  absl::Duration longest;
  for (const auto& environment : environments_) {
    longest = std::max(longest, environment->Pulse(now));
  }
  return longest;
}

void RpcServer::Shutdown(absl::Duration grace) {
  if (server_ == nullptr) return;
  SetServing(false);
  const absl::Time deadline = absl::Now() + grace;
  for (const auto& acceptor : acceptors_) acceptor->StopAccepting();
  for (const auto& environment : environments_) environment->Drain();
  if (health_ != nullptr) health_->WakeWatches();
  on_drain_();
  // Once it shuts down, gRPC cancels what arrives: so the clients leave first.
  if (grace > absl::ZeroDuration() && !SendGoaways(*server_, deadline)) {
    Log(LogLevel::kWarning, "goaways_given_up");
  }
  for (const auto& acceptor : acceptors_) acceptor->AwaitEnds(deadline);
  server_->Shutdown(absl::ToChronoTime(deadline));
  for (const auto& environment : environments_) {
    // A cut call still waits for its commit, and an armed one still has to come back: the queue
    // must live until they have.
    while (environment->calls() > 0) absl::SleepFor(absl::Milliseconds(1));
    environment->queue().Shutdown();
  }
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
  for (Worker* worker : {&vault_, &disk_, &lock_}) worker->Stop();
  server_.reset();
}

}  // namespace cmkstore::service
