#pragma once

#include <grpcpp/completion_queue.h>
#include <grpcpp/server_context.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <utility>

#include "absl/status/statusor.h"
#include "service/queue_executor.h"
#include "service/request_gate.h"

namespace cmkstore::service {

// What the calls of one completion queue share. One per queue; outlives its calls.
class CallEnvironment {
 public:
  CallEnvironment(std::unique_ptr<grpc::ServerCompletionQueue> queue, RequestGate& gate)
      : queue_(std::move(queue)), executor_(*queue_), gate_(gate) {}

  grpc::ServerCompletionQueue& queue() { return *queue_; }
  QueueExecutor& executor() { return executor_; }

  absl::StatusOr<AdmittedCall> Admit(const grpc::ServerContext& context, Permission permission,
                                     const absl::StatusOr<ResourceScope>& scope);

  void CallBegan() { active_calls_.fetch_add(1, std::memory_order_relaxed); }
  void CallEnded() { active_calls_.fetch_sub(1, std::memory_order_release); }
  int64_t active_calls() const { return active_calls_.load(std::memory_order_acquire); }

  // After this, streams end at their next look.
  void Drain() { draining_.store(true, std::memory_order_release); }
  bool draining() const { return draining_.load(std::memory_order_acquire); }

 private:
  std::unique_ptr<grpc::ServerCompletionQueue> queue_;
  QueueExecutor executor_;
  RequestGate& gate_;
  std::atomic<int64_t> active_calls_{0};
  std::atomic<bool> draining_{false};
};

}  // namespace cmkstore::service
