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

class HealthMethod::Call final : public RpcCall {
 public:
  Call(HealthMethod& method, CallEnvironment& environment)
      : RpcCall(environment, method.stats()), method_(method), responder_(&context_) {
    grpc::ServerCompletionQueue& queue = environment.queue();
    method_.service_.RequestCheck(&context_, &request_, &responder_, &queue, &queue,
                                  static_cast<QueueEvent*>(this));
  }

  void Complete(bool ok) override {
    if (finishing_ || !ok) {
      delete this;
      return;
    }
    new Call(method_, environment_);
    finishing_ = true;
    if (request_.ByteSizeLong() > kMaxPublicRequest) {
      responder_.FinishWithError(PublicRequestTooLarge(), static_cast<QueueEvent*>(this));
      return;
    }
    if (!method_.Knows(request_.service())) {
      responder_.FinishWithError({grpc::StatusCode::NOT_FOUND, "no such service"},
                                 static_cast<QueueEvent*>(this));
      return;
    }
    HealthCheckResponse response;
    response.set_status(method_.serving_ ? HealthCheckResponse::SERVING
                                         : HealthCheckResponse::NOT_SERVING);
    responder_.Finish(response, grpc::Status::OK, static_cast<QueueEvent*>(this));
  }

 private:
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

  // A read is answered by one write, a write is followed by the next read.
  void Complete(bool ok) override {
    QueueEvent* const tag = this;
    switch (std::exchange(state_, State::kReading)) {
      case State::kWaiting:
        if (!ok) break;
        method_.Arm(environment_);
        stream_.Read(&request_, tag);
        return;
      case State::kReading:
        if (ok && request_.ByteSizeLong() > kMaxPublicRequest) {
          state_ = State::kFinishing;
          stream_.Finish(PublicRequestTooLarge(), tag);
        } else if (ok && !environment_.draining()) {
          state_ = State::kWriting;
          stream_.Write(Describe(request_, method_.services_), tag);
        } else {
          state_ = State::kFinishing;
          stream_.Finish(grpc::Status::OK, tag);
        }
        return;
      case State::kWriting: stream_.Read(&request_, tag); return;
      case State::kFinishing: break;
    }
    delete this;
  }

 private:
  enum class State { kWaiting, kReading, kWriting, kFinishing };

  ReflectionMethod& method_;
  ServerReflectionRequest request_;
  grpc::ServerAsyncReaderWriter<ServerReflectionResponse, ServerReflectionRequest> stream_;
  State state_ = State::kWaiting;
};

void ReflectionMethod::Arm(CallEnvironment& environment) { new Call(*this, environment); }

}  // namespace cmkstore::service
