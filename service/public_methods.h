#pragma once

#include <atomic>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_set.h"
#include "absl/synchronization/mutex.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "grpc/reflection/v1alpha/reflection.grpc.pb.h"
#include "service/rpc_method.h"

// What anyone may ask of a server without a token: whether it serves (grpc.health.v1) and what its
// methods are (grpc.reflection.v1alpha).
//
// gRPC has implementations of both, but they bring threads that poll the same sockets as our
// queues: each call then changes threads, which costs more than the rest of a read.

namespace cmkstore::service {

using HealthService = grpc::health::v1::Health::AsyncService;
using ReflectionService = grpc::reflection::v1alpha::ServerReflection::AsyncService;

// What they are asked with may have so many bytes: it is kept for as long as its caller likes.
inline constexpr size_t kMaxPublicRequest = 16u << 10;
grpc::Status PublicRequestTooLarge();
// For whom large answers count: whoever asks without a token is one tenant.
inline constexpr char kPublicTenant[] = "";
grpc::Status TooManyPublicCalls();

// Check and Watch.
//
// Thread-safe but for Arm.
class HealthMethod final : public RpcMethod {
 public:
  // At once, of those whose answer is not taken yet: a place of their own, which no other call
  // fills.
  static constexpr size_t kMaxChecks = 4096;
  static constexpr size_t kMaxWatches = 1024;  // each holds some KiB and a stream

  // `services`: full names of those that can be asked for beside "", the server. `service` must
  // outlive this.
  HealthMethod(HealthService& service, std::vector<std::string> services)
      : RpcMethod("HealthCheck"), service_(service), services_(std::move(services)) {}

  void Arm(CallEnvironment& environment) override;
  void SetServing(bool serving);
  // Has all watches look again: at the state, or whether the server drains.
  void WakeWatches();

 private:
  class Call;
  class Watch;
  void ArmCheck(CallEnvironment& environment);
  bool Knows(const std::string& service) const;
  bool AddWatch(Watch& watch);  // false: there are too many
  void RemoveWatch(Watch& watch);

  HealthService& service_;
  const std::vector<std::string> services_;
  std::atomic<bool> serving_{true};
  std::atomic<size_t> checks_{0};
  absl::Mutex mutex_;
  absl::flat_hash_set<Watch*> watches_ ABSL_GUARDED_BY(mutex_);
};

// Thread-safe but for Arm.
class ReflectionMethod final : public RpcMethod {
 public:
  // At once; one more ends the one that has asked nothing for the longest time.
  static constexpr size_t kMaxStreams = 64;

  // As HealthMethod.
  ReflectionMethod(ReflectionService& service, std::vector<std::string> services)
      : RpcMethod("Reflection"), service_(service), services_(std::move(services)) {}

  void Arm(CallEnvironment& environment) override;

 private:
  class Call;
  // It has come, or has asked.
  void NoteActive(Call& call);
  void Remove(Call& call);

  ReflectionService& service_;
  const std::vector<std::string> services_;
  absl::Mutex mutex_;
  std::deque<Call*> active_ ABSL_GUARDED_BY(mutex_);  // who has been silent for longest comes first
};

}  // namespace cmkstore::service
