#pragma once

#include <grpcpp/server_context.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/proto_buffer_reader.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <limits>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/errors.h"
#include "base/status_macros.h"
#include "service/call_environment.h"
#include "service/call_room.h"
#include "service/call_stats.h"
#include "service/queue_executor.h"
#include "service/request_bytes.h"
#include "service/request_gate.h"

namespace cmkstore::service {

// What a method needs of a caller, and the resource that its request names.
template <typename Request>
struct MethodRule {
  Permission permission;
  // Errors: FIELD_INVALID; told to the caller only after authentication.
  std::function<absl::StatusOr<ResourceScope>(const Request&)> scope;
};

// What every call has, unary or streaming: its context, and its end.
class RpcCall : public QueueEvent {
 protected:
  // Counted from its arming: a queue must live until every call on it has come back.
  RpcCall(CallEnvironment& environment, MethodStats& stats)
      : environment_(environment), stats_(stats) {
    environment_.CallBegan();
  }
  ~RpcCall() override { environment_.CallEnded(); }

  // Admits the call, and parses its message on the way, which is to have at most so many bytes.
  // `answer_room`: held for a small answer from here on, which HoldAnswer then never refuses.
  template <typename Request>
  absl::StatusOr<AdmittedCall> Admit(const MethodRule<Request>& rule, Request& request,
                                     size_t answer_room,
                                     size_t max_bytes = std::numeric_limits<size_t>::max()) {
    began_ = Clock::now();
    answer_room_ = answer_room;
    stats_.in_flight.fetch_add(1, std::memory_order_relaxed);
    request_id_ = environment_.gate().NewRequestId();
    absl::StatusOr<AdmittedCall> admitted = Judge(rule, request, max_bytes);
    bytes_.Clear();  // a refusal, too, may be left unread for ever
    if (admitted.ok()) {
      environment_.stats().admitted.Add();
    } else {
      environment_.stats().refused.Add(ReasonOf(admitted.status()));
    }
    return admitted;
  }

  // For bytes of an answer, until `answer_` is let go: a caller may leave it unread for ever.
  absl::Status HoldAnswer(const std::string& tenant, size_t bytes) {
    if (bytes <= answer_room_) return absl::OkStatus();
    if (bytes <= RequestBytes::kSmall) return environment_.room().Take(tenant, bytes, room_);
    absl::StatusOr<RequestBytes::Hold> held = environment_.answer_bytes().Take(tenant, bytes);
    if (held.ok()) answer_ = *std::move(held);
    return held.status();
  }

  // Just before the call's last word goes out.
  absl::Duration Answered(const absl::Status& status) {
    const absl::Duration taken = absl::FromChrono(Clock::now() - began_);
    stats_.in_flight.fetch_sub(1, std::memory_order_relaxed);
    stats_.by_code[static_cast<size_t>(status.code()) % kStatusCodes].Add();
    if (!status.ok()) environment_.stats().errors.Add(ReasonOf(status));
    return taken;
  }

  CallEnvironment& environment_;
  MethodStats& stats_;
  grpc::ServerContext context_;
  grpc::ByteBuffer bytes_;  // of the message, until it is parsed
  std::string request_id_;
  RequestBytes::Hold held_, answer_;

 private:
  using Clock = std::chrono::steady_clock;

  // Nothing is parsed for whom no token speaks, or whose tenant has no more calls or room: a small
  // message may be large work.
  template <typename Request>
  absl::StatusOr<AdmittedCall> Judge(const MethodRule<Request>& rule, Request& request,
                                     size_t max_bytes) {
    CMK_ASSIGN_OR_RETURN(CallInfo info, CallEnvironment::InfoOf(context_));
    info.request_id = request_id_;
    CMK_ASSIGN_OR_RETURN(CallerPtr caller, environment_.gate().Identify(info));
    const size_t bytes = bytes_.Length(), small = std::min(bytes, RequestBytes::kSmall);
    CMK_RETURN_IF_ERROR(
        environment_.room().Take(caller->tenant, CallRoom::kCall + answer_room_ + small, room_));
    CMK_ASSIGN_OR_RETURN(held_, environment_.request_bytes().Take(caller->tenant, bytes));
    const absl::StatusOr<ResourceScope> scope = Parse(rule, request, max_bytes);
    return environment_.gate().Admit(std::move(caller), info, rule.permission, scope);
  }

  template <typename Request>
  absl::StatusOr<ResourceScope> Parse(const MethodRule<Request>& rule, Request& request,
                                      size_t max_bytes) {
    if (bytes_.Length() > max_bytes) {
      return FieldInvalid("request", absl::StrCat("must be at most ", max_bytes, " bytes"));
    }
    if (!grpc::SerializationTraits<Request>::Deserialize(&bytes_, &request).ok()) {
      return FieldInvalid("request", "must be a message of this method: it does not parse");
    }
    if constexpr (requires { request.mutable_request_id(); }) {
      // A UUID is the same one in capital letters (RFC 9562, 4).
      absl::AsciiStrToLower(request.mutable_request_id());
    }
    return rule.scope(request);
  }

  Clock::time_point began_;
  size_t answer_room_ = 0;
  CallRoom::Hold room_;
};

}  // namespace cmkstore::service
