#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

// The one place where a status of this system is made.
//
// Every failure carries a reason: the stable word that tells a customer whether the fault is
// theirs, ours or the vault's. A status is made once, here, and gains context by `Annotate` on its
// way up; code and reason never change. Messages say what happened and what to do, and hold no
// plaintext, key bytes, token or path. `service/grpc_status` turns the details into google.rpc
// messages.
//
// All functions are pure and thread-safe.

namespace cmkstore {

// One failed check of a request field (google.rpc.BadRequest) or of the state that a call needs
// (google.rpc.PreconditionFailure).
struct Violation {
  std::string subject;      // field path, or the check's name such as "recovery_level"
  std::string description;  // what was found, what is needed, what to do
};

// Caller's credentials.
absl::Status TokenInvalid(absl::string_view why);
absl::Status TokenExpired();
absl::Status AccessDenied();  // also for what does not exist and the caller may not know
absl::Status NetworkDenied();

// Caller's request.
absl::Status FieldInvalid(absl::string_view field, absl::string_view rule);
absl::Status FieldsInvalid(std::vector<Violation> violations);
// `kind` is "hub", "project", "document", "operation" …: the reason becomes HUB_NOT_FOUND and so
// on.
absl::Status NotFound(absl::string_view kind);
absl::Status AlreadyExists(absl::string_view kind);
absl::Status EtagMismatch();
// The resource is in a state in which the call makes no sense (a deleted hub, a running operation).
absl::Status StateInvalid(absl::string_view what);
// `retry_after` absent: the same call would meet the same bound at any time.
absl::Status QuotaExceeded(absl::string_view what, std::optional<absl::Duration> retry_after);
// A limit that somebody has set for somebody (google.rpc.QuotaFailure).
struct QuotaBreach {
  std::string subject;                        // whose limit: "tenants/T"
  std::string quota;                          // which one, in a stable word: "documents"
  std::string description;                    // the limit, and what to do
  std::optional<absl::Duration> retry_after;  // as above
};
absl::Status QuotaExceeded(const QuotaBreach& breach);
absl::Status DeadlineExceeded(absl::string_view what);
absl::Status Cancelled(absl::string_view what);
// A stream that the server ends because it stops: another one, or this one started again, goes on.
absl::Status ServerStopping();

// The customer's key.
absl::Status CustomerKeyRevoked(absl::string_view why);
absl::Status HubLocked();
absl::Status CustomerKeyUnfit(std::vector<Violation> checks);
absl::Status VaultChangeRefused(absl::string_view why);
absl::Status KeyKindImmutable();

// The vault, and our login to it.
absl::Status VaultLoginFailed(absl::string_view why);
absl::Status VaultUnreachable(absl::string_view why, absl::Duration retry_after);
absl::Status VaultThrottled(absl::Duration retry_after);
// The same reason, where the vault has said nothing: our own bounds on calls to it are reached.
absl::Status VaultBudgetUsedUp(absl::Duration retry_after);

// Our data and our store.
absl::Status DocumentCorrupt();  // one constant message: which check failed is not for the caller
absl::Status DekNotFound();
// The wrapped DEK does not unwrap, or is not the DEK of this hub. Page; never lock for it.
absl::Status DekRecordCorrupt(absl::string_view why);
absl::Status FormatTooNew(absl::string_view what);
absl::Status StoreBusy();
// The disk refuses writes; the store goes on by itself when it takes them again.
absl::Status StoreStalled();
absl::Status StoreFull();
absl::Status StoreCorrupt(absl::string_view why);
// The search index of a hub cannot be used; it is derived data, so the answer is to rebuild it.
absl::Status IndexCorrupt(absl::string_view why);
absl::Status InvariantBroken(absl::string_view what);

// CONFIG_INVALID, which the server's own start tells and no client sees.
absl::Status ConfigInvalid(absl::string_view what);

// An error of the given parts, for a reason that only one component makes.
absl::Status MakeError(absl::StatusCode code, absl::string_view reason, absl::string_view message);

// The stable reason ("ETAG_MISMATCH"), or "" for OK and for a status that was not made here.
std::string ReasonOf(const absl::Status& status);
bool HasReason(const absl::Status& status, absl::string_view reason);
// The same status with a stable word for what lies behind it ("dns", "KeyDisabled"), for programs
// that attribute it.
absl::Status WithCause(absl::Status status, absl::string_view cause);
// That word, or "".
std::string CauseOf(const absl::Status& status);
// How long the caller should wait before it tries again.
std::optional<absl::Duration> RetryAfterOf(const absl::Status& status);
std::vector<Violation> ViolationsOf(const absl::Status& status);

// The same status with `context` and ": " before its message; code, reason and details are kept.
absl::Status Annotate(const absl::Status& status, absl::string_view context);
// `Annotate` with the field of the request that the error is about, which the details name as well
// (google.rpc.BadRequest, whatever the code is). One that names its fields already stays as it is.
absl::Status AnnotateField(const absl::Status& status, absl::string_view field);

}  // namespace cmkstore
