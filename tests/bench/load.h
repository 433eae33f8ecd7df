#pragma once

#include <grpcpp/client_context.h>
#include <grpcpp/completion_queue.h>
#include <grpcpp/support/async_unary_call.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "tests/bench/latencies.h"

namespace cmkstore::bench {

inline uint64_t NowNanos() { return static_cast<uint64_t>(absl::GetCurrentTimeNanos()); }

// One kind of call: how the n-th is made and what its answer must be. `prepare` may add metadata.
template <typename Request, typename Response>
struct Operation {
  std::function<void(uint64_t n, Request& request, grpc::ClientContext& context)> prepare;
  std::function<std::unique_ptr<grpc::ClientAsyncResponseReader<Response>>(
      grpc::ClientContext*, const Request&, grpc::CompletionQueue*)>
      start;
  // Empty when the answer is right; else what is wrong with it.
  std::function<std::string(uint64_t n, const Request& request, const Response& response)> check;
};

// Keeps `in_flight` calls going on one queue and one thread for `duration`, after a warm-up of a
// tenth of it.
//
// Errors: the first call that fails or whose answer is wrong ends the run with INTERNAL and what it
// was.
template <typename Request, typename Response>
class LoadRun {
 public:
  LoadRun(Operation<Request, Response> operation, int in_flight, absl::Duration duration)
      : operation_(std::move(operation)), in_flight_(in_flight), duration_(duration) {}

  absl::StatusOr<CaseResult> Run() {
    const uint64_t warm =
        NowNanos() + static_cast<uint64_t>(absl::ToInt64Nanoseconds(duration_ / 10));
    const uint64_t end = warm + static_cast<uint64_t>(absl::ToInt64Nanoseconds(duration_));
    std::vector<std::unique_ptr<Call>> calls;
    for (int i = 0; i < in_flight_; ++i) {
      calls.push_back(std::make_unique<Call>());
      Start(*calls.back());
    }
    int running = in_flight_;
    void* tag = nullptr;
    bool ok = false;
    while (running > 0 && queue_.Next(&tag, &ok)) {
      Call& call = *static_cast<Call*>(tag);
      const uint64_t now = NowNanos();
      Check(call);
      if (error_.empty() && call.began >= warm && now <= end) latencies_.Add(now - call.began);
      if (error_.empty() && now < end) {
        Start(call);
      } else {
        --running;
      }
    }
    queue_.Shutdown();
    while (queue_.Next(&tag, &ok)) {
    }
    if (!error_.empty()) return absl::InternalError(error_);
    return latencies_.Summarize(absl::ToDoubleSeconds(duration_));
  }

 private:
  struct Call {
    uint64_t number = 0;
    uint64_t began = 0;
    Request request;
    Response response;
    grpc::Status status;
    std::unique_ptr<grpc::ClientContext> context;
    std::unique_ptr<grpc::ClientAsyncResponseReader<Response>> reader;
  };

  void Start(Call& call) {
    call.number = next_++;
    call.context = std::make_unique<grpc::ClientContext>();
    call.began = NowNanos();
    operation_.prepare(call.number, call.request, *call.context);
    call.reader = operation_.start(call.context.get(), call.request, &queue_);
    call.reader->Finish(&call.response, &call.status, &call);
  }

  void Check(Call& call) {
    if (!error_.empty()) return;
    if (!call.status.ok()) {
      error_ = absl::StrCat("call ", call.number, " failed: ", call.status.error_message());
    } else if (std::string wrong = operation_.check(call.number, call.request, call.response);
               !wrong.empty()) {
      error_ = absl::StrCat("call ", call.number, " answered wrongly: ", wrong);
    }
  }

  const Operation<Request, Response> operation_;
  const int in_flight_;
  const absl::Duration duration_;
  grpc::CompletionQueue queue_;
  Latencies latencies_;
  uint64_t next_ = 0;
  std::string error_;
};

}  // namespace cmkstore::bench
