#pragma once

#include <grpcpp/client_context.h>
#include <grpcpp/completion_queue.h>
#include <grpcpp/support/async_unary_call.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "tests/bench/latencies.h"

namespace cmkstore::bench {

inline uint64_t NowNanos() { return static_cast<uint64_t>(absl::GetCurrentTimeNanos()); }

// One call in flight, made again and again. Of the thread of its LoadRun.
class Call {
 public:
  virtual ~Call() = default;
  // Makes the call number `n`; `queue` gives `tag` when it has ended.
  virtual void Start(uint64_t n, grpc::CompletionQueue& queue, void* tag) = 0;
  // After that: empty when the answer is right, else what is wrong with it.
  virtual std::string Check() = 0;
};
using CallMaker = std::function<std::unique_ptr<Call>()>;

// One kind of call: how the n-th is made and what its answer must be. `prepare` may add metadata.
template <typename Request, typename Response>
struct Operation {
  std::function<void(uint64_t n, Request& request, grpc::ClientContext& context)> prepare;
  std::function<std::unique_ptr<grpc::ClientAsyncResponseReader<Response>>(
      grpc::ClientContext*, const Request&, grpc::CompletionQueue*)>
      start;
  // Empty when the answer is right; else what is wrong with it.
  std::function<std::string(uint64_t n, const Response& response)> check;
};

template <typename Request, typename Response>
class UnaryCall final : public Call {
 public:
  // `operation` must outlive this.
  explicit UnaryCall(const Operation<Request, Response>& operation) : operation_(operation) {}

  void Start(uint64_t n, grpc::CompletionQueue& queue, void* tag) override {
    number_ = n;
    reader_.reset();
    context_.emplace();
    context_->set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
    operation_.prepare(n, request_, *context_);
    reader_ = operation_.start(&*context_, request_, &queue);
    reader_->Finish(&response_, &status_, tag);
  }

  std::string Check() override {
    if (!status_.ok()) return absl::StrCat("it failed: ", status_.error_message());
    return operation_.check(number_, response_);
  }

 private:
  const Operation<Request, Response>& operation_;
  uint64_t number_ = 0;
  Request request_;
  Response response_;
  grpc::Status status_;
  std::optional<grpc::ClientContext> context_;
  std::unique_ptr<grpc::ClientAsyncResponseReader<Response>> reader_;
};

template <typename Request, typename Response>
CallMaker Calls(const Operation<Request, Response>& operation) {
  return [&operation] { return std::make_unique<UnaryCall<Request, Response>>(operation); };
}

// Every twentieth call is one of `rare`, the others are of `common`.
inline CallMaker Mixed(CallMaker common, CallMaker rare) {
  class MixedCall final : public Call {
   public:
    MixedCall(std::unique_ptr<Call> common, std::unique_ptr<Call> rare)
        : common_(std::move(common)), rare_(std::move(rare)) {}
    void Start(uint64_t n, grpc::CompletionQueue& queue, void* tag) override {
      current_ = n % 20 == 19 ? rare_.get() : common_.get();
      current_->Start(n, queue, tag);
    }
    std::string Check() override { return current_->Check(); }

   private:
    const std::unique_ptr<Call> common_, rare_;
    Call* current_ = nullptr;
  };
  return [common = std::move(common), rare = std::move(rare)] {
    return std::make_unique<MixedCall>(common(), rare());
  };
}

struct LoadOptions {
  int in_flight = 1;
  absl::Duration duration;
  double calls_per_second = 0;  // 0: each call is followed by the next at once
};

// Keeps calls going on one queue and one thread for `duration`, after a warm-up of a tenth of it,
// and until the last has ended.
// With a pace, a call that has to wait for a free slot counts its wait: its latency begins when it
// was due.
//
// Errors: the first call that fails or whose answer is wrong ends the run with INTERNAL and what it
// was.
class LoadRun {
 public:
  // Calls are numbered from `next` on, which is moved.
  LoadRun(const CallMaker& maker, const LoadOptions& options, uint64_t& next)
      : options_(options), next_(next) {
    for (int i = 0; i < options.in_flight; ++i) slots_.push_back({maker(), 0});
  }

  absl::StatusOr<CaseResult> Run() {
    began_ = NowNanos();
    const auto length = static_cast<uint64_t>(absl::ToInt64Nanoseconds(options_.duration));
    const uint64_t warm = began_ + length / 10;
    end_ = warm + length;
    uint64_t last = end_;
    for (Slot& slot : slots_) idle_.push_back(&slot);
    StartDue();
    while (idle_.size() < slots_.size() || (NowNanos() < end_ && error_.empty())) {
      Slot* slot = Next();
      if (slot != nullptr) {
        const uint64_t now = NowNanos();
        const std::string wrong = slot->call->Check();
        if (error_.empty() && !wrong.empty()) error_ = wrong;
        if (now >= warm) latencies_.Add(now - slot->began);
        last = now;
        ++finished_;
        idle_.push_back(slot);
      }
      if (error_.empty()) StartDue();
    }
    queue_.Shutdown();
    void* tag = nullptr;
    bool ok = false;
    while (queue_.Next(&tag, &ok)) {
    }
    if (!error_.empty()) return absl::InternalError(error_);
    return latencies_.Summarize(static_cast<double>(std::max(last, end_) - warm) / 1e9);
  }

  // With those of the warm-up.
  uint64_t finished() const { return finished_; }

 private:
  struct Slot {
    std::unique_ptr<Call> call;
    uint64_t began;
  };

  // When the next call is due.
  uint64_t Due() const {
    if (options_.calls_per_second == 0) return 0;
    return began_ +
           static_cast<uint64_t>(static_cast<double>(started_) * 1e9 / options_.calls_per_second);
  }

  void StartDue() {
    for (uint64_t now = NowNanos(); !idle_.empty() && now < end_ && Due() <= now;
         now = NowNanos()) {
      Slot& slot = *idle_.back();
      idle_.pop_back();
      slot.began = options_.calls_per_second == 0 ? now : Due();
      ++started_;
      slot.call->Start(next_++, queue_, &slot);
    }
  }

  // The next call that ended; null when first another one is due.
  Slot* Next() {
    void* tag = nullptr;
    bool ok = false;
    if (options_.calls_per_second == 0 || idle_.empty()) {
      return queue_.Next(&tag, &ok) ? static_cast<Slot*>(tag) : nullptr;
    }
    const auto due = absl::ToChronoTime(absl::FromUnixNanos(static_cast<int64_t>(Due())));
    return queue_.AsyncNext(&tag, &ok, due) == grpc::CompletionQueue::GOT_EVENT
               ? static_cast<Slot*>(tag)
               : nullptr;
  }

  const LoadOptions options_;
  uint64_t& next_;
  std::vector<Slot> slots_;
  std::vector<Slot*> idle_;
  grpc::CompletionQueue queue_;
  Latencies latencies_;
  uint64_t began_ = 0, end_ = 0, started_ = 0, finished_ = 0;
  std::string error_;
};

}  // namespace cmkstore::bench
