#pragma once

#include <grpcpp/completion_queue.h>
#include <grpcpp/server_context.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "service/call_room.h"
#include "service/call_stats.h"
#include "service/queue_executor.h"
#include "service/request_bytes.h"
#include "service/request_gate.h"
#include "service/task.h"

namespace cmkstore::service {

// What the calls of one completion queue share. One per queue; outlives its calls.
class CallEnvironment {
 public:
  CallEnvironment(std::unique_ptr<grpc::ServerCompletionQueue> queue, RequestGate& gate,
                  CallRoom& room, RequestBytes& request_bytes, RequestBytes& answer_bytes,
                  CallStats& stats)
      : queue_(std::move(queue)),
        executor_(*queue_),
        gate_(gate),
        room_(room),
        request_bytes_(request_bytes),
        answer_bytes_(answer_bytes),
        stats_(stats) {}

  grpc::ServerCompletionQueue& queue() { return *queue_; }
  QueueExecutor& executor() { return executor_; }
  CallStats& stats() { return stats_; }
  // Of every call that was let in.
  CallRoom& room() { return room_; }
  RequestBytes& request_bytes() { return request_bytes_; }
  // Of answers that their callers have not taken yet.
  RequestBytes& answer_bytes() { return answer_bytes_; }
  RequestGate& gate() { return gate_; }

  // What `context` says of its call. Errors: TOKEN_INVALID when there is more than one token.
  static absl::StatusOr<CallInfo> InfoOf(const grpc::ServerContext& context);
  // Of a call that was admitted (RequestGate).
  absl::Status AdmitAgain(const grpc::ServerContext& context, Permission permission,
                          const ResourceScope& scope);

  void CallBegan() { calls_.fetch_add(1, std::memory_order_relaxed); }
  void CallEnded() { calls_.fetch_sub(1, std::memory_order_release); }
  // Armed, waiting or running.
  int64_t calls() const { return calls_.load(std::memory_order_acquire); }

  // How long the queue's thread has owed an answer at `now`, and asks for one if it owes none. Zero
  // while it turns. To be called by one thread.
  absl::Duration Pulse(absl::Time now);

  // After this, streams end at their next look.
  void Drain() { draining_.store(true, std::memory_order_release); }
  bool draining() const { return draining_.load(std::memory_order_acquire); }

 private:
  Detached Answer();

  std::unique_ptr<grpc::ServerCompletionQueue> queue_;
  QueueExecutor executor_;
  RequestGate& gate_;
  CallRoom& room_;
  RequestBytes& request_bytes_;
  RequestBytes& answer_bytes_;
  CallStats& stats_;
  std::atomic<int64_t> calls_{0};
  std::atomic<bool> draining_{false};
  std::atomic<bool> asked_{false};
  absl::Time asked_at_;
};

}  // namespace cmkstore::service
