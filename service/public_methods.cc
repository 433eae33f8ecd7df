#include "service/public_methods.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"

namespace cmkstore::service {
namespace {

using google::protobuf::DescriptorPool;
using google::protobuf::FileDescriptor;
using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;
using grpc::reflection::v1alpha::ServerReflectionRequest;
using grpc::reflection::v1alpha::ServerReflectionResponse;

// The file and all that it imports, each once.
void AddWithImports(const FileDescriptor& file, std::set<std::string>& seen,
                    grpc::reflection::v1alpha::FileDescriptorResponse& answer) {
  if (!seen.insert(file.name()).second) return;
  google::protobuf::FileDescriptorProto proto;
  file.CopyTo(&proto);
  answer.add_file_descriptor_proto(proto.SerializeAsString());
  for (int i = 0; i < file.dependency_count(); ++i) {
    AddWithImports(*file.dependency(i), seen, answer);
  }
}

ServerReflectionResponse Describe(const ServerReflectionRequest& request,
                                  const std::vector<std::string>& services) {
  const DescriptorPool& pool = *DescriptorPool::generated_pool();
  ServerReflectionResponse response;
  response.set_valid_host(request.host());
  *response.mutable_original_request() = request;
  const FileDescriptor* file = nullptr;
  switch (request.message_request_case()) {
    case ServerReflectionRequest::kListServices:
      for (const std::string& name : services) {
        response.mutable_list_services_response()->add_service()->set_name(name);
      }
      return response;
    case ServerReflectionRequest::kFileByFilename:
      file = pool.FindFileByName(request.file_by_filename());
      break;
    case ServerReflectionRequest::kFileContainingSymbol:
      file = pool.FindFileContainingSymbol(request.file_containing_symbol());
      break;
    default: break;
  }
  if (file == nullptr) {
    response.mutable_error_response()->set_error_code(grpc::StatusCode::NOT_FOUND);
    response.mutable_error_response()->set_error_message("there is no such thing here");
    return response;
  }
  std::set<std::string> seen;
  AddWithImports(*file, seen, *response.mutable_file_descriptor_response());
  return response;
}

}  // namespace

grpc::Status PublicRequestTooLarge() {
  return {grpc::StatusCode::INVALID_ARGUMENT,
          absl::StrCat("the request must be at most ", kMaxPublicRequest, " bytes")};
}

grpc::Status TooManyPublicCalls() {
  return {grpc::StatusCode::RESOURCE_EXHAUSTED, "too many ask without a token"};
}

class HealthMethod::Call final : public RpcCall {
 public:
  Call(HealthMethod& method, CallEnvironment& environment)
      : RpcCall(environment, method.stats()), method_(method), responder_(&context_) {
    grpc::ServerCompletionQueue& queue = environment.queue();
    method_.service_.RequestCheck(&context_, &request_, &responder_, &queue, &queue,
                                  static_cast<QueueEvent*>(this));
  }
  ~Call() override {
    if (finishing_) --method_.checks_;
  }

  void Complete(bool ok) override {
    if (finishing_ || !ok) {
      delete this;
      return;
    }
    new Call(method_, environment_);
    finishing_ = true;
    const bool has_place = ++method_.checks_ <= kMaxChecks;
    const grpc::Status looked_at = has_place ? LookAtRequest() : TooManyPublicCalls();
    request_ = HealthCheckRequest();  // the answer may be left unread for ever
    if (!looked_at.ok()) {
      responder_.FinishWithError(looked_at, static_cast<QueueEvent*>(this));
      return;
    }
    HealthCheckResponse response;
    response.set_status(method_.serving_ ? HealthCheckResponse::SERVING
                                         : HealthCheckResponse::NOT_SERVING);
    responder_.Finish(response, grpc::Status::OK, static_cast<QueueEvent*>(this));
  }

 private:
  grpc::Status LookAtRequest() {
    if (request_.ByteSizeLong() > kMaxPublicRequest) return PublicRequestTooLarge();
    if (method_.Knows(request_.service())) return grpc::Status::OK;
    return {grpc::StatusCode::NOT_FOUND, "no such service"};
  }

  HealthMethod& method_;
  HealthCheckRequest request_;
  grpc::ServerAsyncResponseWriter<HealthCheckResponse> responder_;
  bool finishing_ = false;
};

void HealthMethod::ArmCheck(CallEnvironment& environment) { new Call(*this, environment); }

bool HealthMethod::Knows(const std::string& service) const {
  return service.empty() ||
         std::find(services_.begin(), services_.end(), service) != services_.end();
}

class ReflectionMethod::Call final : public RpcCall {
 public:
  Call(ReflectionMethod& method, CallEnvironment& environment)
      : RpcCall(environment, method.stats()), method_(method), stream_(&context_) {
    grpc::ServerCompletionQueue& queue = environment.queue();
    method_.service_.RequestServerReflectionInfo(&context_, &stream_, &queue, &queue,
                                                 static_cast<QueueEvent*>(this));
  }

  ~Call() override { method_.Remove(*this); }

  // A read is answered by one write, a write is followed by the next read.
  void Complete(bool ok) override {
    QueueEvent* const tag = this;
    switch (std::exchange(state_, State::kReading)) {
      case State::kWaiting:
        if (!ok) break;
        method_.Arm(environment_);
        method_.NoteActive(*this);
        stream_.Read(&request_, tag);
        return;
      case State::kReading: return ok && !environment_.draining() ? Answer() : Finish({});
      case State::kWriting:
        answer_ = {};
        stream_.Read(&request_, tag);
        return;
      case State::kFinishing: break;
    }
    delete this;
  }

  // What it waits for comes back, without what it was to bring. Under the mutex of the method.
  void Cut() { context_.TryCancel(); }

 private:
  enum class State { kWaiting, kReading, kWriting, kFinishing };

  void Answer() {
    method_.NoteActive(*this);
    if (request_.ByteSizeLong() > kMaxPublicRequest) return Finish(PublicRequestTooLarge());
    const ServerReflectionResponse response = Describe(request_, method_.services_);
    auto held = environment_.answer_bytes().Take(kPublicTenant, response.ByteSizeLong());
    if (!held.ok()) return Finish(TooManyPublicCalls());
    answer_ = *std::move(held);
    state_ = State::kWriting;
    stream_.Write(response, static_cast<QueueEvent*>(this));
  }
  void Finish(const grpc::Status& status) {
    request_ = ServerReflectionRequest();  // the end may be left unread for ever
    state_ = State::kFinishing;
    stream_.Finish(status, static_cast<QueueEvent*>(this));
  }

  ReflectionMethod& method_;
  ServerReflectionRequest request_;
  grpc::ServerAsyncReaderWriter<ServerReflectionResponse, ServerReflectionRequest> stream_;
  State state_ = State::kWaiting;
};

void ReflectionMethod::Arm(CallEnvironment& environment) { new Call(*this, environment); }

void ReflectionMethod::NoteActive(Call& call) {
  absl::MutexLock lock(&mutex_);
  std::erase(active_, &call);
  active_.push_back(&call);
  if (active_.size() <= kMaxStreams) return;
  active_.front()->Cut();
  active_.pop_front();
}

void ReflectionMethod::Remove(Call& call) {
  absl::MutexLock lock(&mutex_);
  std::erase(active_, &call);
}

}  // namespace cmkstore::service
