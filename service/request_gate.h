#pragma once

#include <atomic>
#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "crypto/random.h"
#include "service/authenticator.h"
#include "service/authorizer.h"
#include "service/caller.h"
#include "service/network_policy.h"
#include "service/request_quota.h"

namespace cmkstore::service {

// What the transport knows of a call.
struct CallInfo {
  absl::string_view authorization;  // metadata, empty if absent
  std::string request_id;           // from NewRequestId
  std::string peer;                 // gRPC's form: "ipv4:10.0.0.1:4242"
  absl::Time deadline;              // the client's
};

// Proof that a call was authenticated, came from an allowed network and was authorized: handlers
// take one, and only RequestGate makes it.
class AdmittedCall {
 public:
  const Caller& caller() const { return *caller_; }
  absl::Time deadline() const { return deadline_; }
  // The same call with more time: for a stream, which outlives one deadline.
  AdmittedCall WithDeadline(absl::Time deadline) const {
    AdmittedCall renewed = *this;
    renewed.deadline_ = deadline;
    return renewed;
  }
  const std::string& request_id() const { return request_id_; }
  const std::string& peer() const { return peer_; }

 private:
  friend class RequestGate;
  AdmittedCall() = default;
  CallerPtr caller_;
  absl::Time deadline_;
  std::string request_id_;
  std::string peer_;
};

// Admits calls in two steps. Identify authenticates and counts the call against its caller's
// tenant, by its metadata alone: nobody's message is looked at before. Admit tells whether the name
// in the request was well-formed, looks at the network and authorizes. Thread-safe, never blocks.
class RequestGate {
 public:
  // `random` is used once, to begin where no other process does.
  RequestGate(Authenticator& authenticator, RequestQuota& quota, NetworkPolicy& network,
              Clock& clock, crypto::Random& random);

  // Names a call in answers and logs, whether it is admitted or not. Unique, not secret.
  std::string NewRequestId();
  // Errors: TOKEN_INVALID, TOKEN_EXPIRED, QUOTA_EXCEEDED.
  absl::StatusOr<CallerPtr> Identify(const CallInfo& info);
  // Errors: that of `scope`, NETWORK_DENIED, ACCESS_DENIED.
  absl::StatusOr<AdmittedCall> Admit(CallerPtr caller, const CallInfo& info, Permission permission,
                                     const absl::StatusOr<ResourceScope>& scope);
  // Whether a call that was admitted would be again: for a stream, which outlives the rules and the
  // token that opened it. Counts nothing. Errors: those of both without QUOTA_EXCEEDED.
  absl::Status AdmitAgain(const CallInfo& info, Permission permission, const ResourceScope& scope);

 private:
  absl::Status CheckCaller(const Caller& caller, const CallInfo& info, Permission permission,
                           const ResourceScope& scope);

  Authenticator& authenticator_;
  RequestQuota& quota_;
  NetworkPolicy& network_;
  Clock& clock_;
  std::atomic<uint64_t> next_request_;
};

}  // namespace cmkstore::service
