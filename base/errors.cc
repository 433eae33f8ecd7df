#include "base/errors.h"

#include <cstdint>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/cord.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/reasons.h"

// Details travel as status payloads: reason and retry as text, violations as
// subject US description RS …  (ASCII unit and record separators).

namespace cmkstore {
namespace {

constexpr absl::string_view kReasonUrl = "cmkstore/reason";
constexpr absl::string_view kRetryUrl = "cmkstore/retry_after_ms";
constexpr absl::string_view kCauseUrl = "cmkstore/cause";
constexpr absl::string_view kViolationsUrl = "cmkstore/violations";
constexpr char kUnitSeparator = '\x1f';
constexpr char kRecordSeparator = '\x1e';

// A reason of the table: another word does not compile.
class KnownReason {
 public:
  consteval KnownReason(const char* word) : reason_(*FindReason(word)) {}
  const Reason& operator*() const { return reason_; }

 private:
  const Reason& reason_;
};

absl::Status Make(KnownReason reason, absl::string_view message) {
  return MakeError((*reason).code, (*reason).word, message);
}

absl::Status WithRetry(absl::Status status, absl::Duration retry_after) {
  status.SetPayload(kRetryUrl, absl::Cord(absl::StrCat(absl::ToInt64Milliseconds(retry_after))));
  return status;
}

absl::Status WithViolations(absl::Status status, const std::vector<Violation>& violations) {
  std::string packed;
  for (const Violation& violation : violations) {
    absl::StrAppend(&packed, violation.subject, std::string(1, kUnitSeparator),
                    violation.description, std::string(1, kRecordSeparator));
  }
  status.SetPayload(kViolationsUrl, absl::Cord(packed));
  return status;
}

// The violations in one line. What makes a message too long is named only; the details have it.
std::string Summary(const std::vector<Violation>& violations) {
  constexpr size_t kMaxBytes = 1200;
  std::string text;
  for (const Violation& violation : violations) {
    const bool fits = text.size() + violation.description.size() < kMaxBytes;
    absl::StrAppend(&text, text.empty() ? "" : "; ", violation.subject, fits ? ": " : "",
                    fits ? violation.description : "");
  }
  return text;
}

std::optional<std::string> PayloadText(const absl::Status& status, absl::string_view url) {
  absl::optional<absl::Cord> cord = status.GetPayload(url);
  if (!cord.has_value()) return std::nullopt;
  return std::string(*cord);
}

}  // namespace

absl::Status MakeError(absl::StatusCode code, absl::string_view reason, absl::string_view message) {
  absl::Status status(code, message);
  status.SetPayload(kReasonUrl, absl::Cord(reason));
  return status;
}

absl::Status ConfigInvalid(absl::string_view what) {
  return MakeError(absl::StatusCode::kInvalidArgument, "CONFIG_INVALID", what);
}

absl::Status TokenInvalid(absl::string_view why) {
  return Make("TOKEN_INVALID", absl::StrCat("the bearer token was not accepted: ", why));
}

absl::Status TokenExpired() {
  return Make("TOKEN_EXPIRED", "the bearer token has expired; get a new one and repeat the call");
}

absl::Status AccessDenied() {
  return Make("ACCESS_DENIED",
              "the caller may not do this on this resource (or it might not exist)");
}

absl::Status NetworkDenied() {
  return Make("NETWORK_DENIED", "this hub does not accept calls from the caller's network");
}

absl::Status FieldInvalid(absl::string_view field, absl::string_view rule) {
  return FieldsInvalid({{std::string(field), std::string(rule)}});
}

absl::Status FieldsInvalid(std::vector<Violation> violations) {
  return WithViolations(Make("FIELD_INVALID", Summary(violations)), violations);
}

absl::Status NotFound(absl::string_view kind) {
  return MakeError(absl::StatusCode::kNotFound,
                   absl::StrCat(absl::AsciiStrToUpper(kind), "_NOT_FOUND"),
                   absl::StrCat("no such ", kind));
}

absl::Status AlreadyExists(absl::string_view kind) {
  return MakeError(absl::StatusCode::kAlreadyExists,
                   absl::StrCat(absl::AsciiStrToUpper(kind), "_ALREADY_EXISTS"),
                   absl::StrCat("a ", kind, " of this name exists already"));
}

absl::Status EtagMismatch() {
  return Make("ETAG_MISMATCH",
              "the resource has changed since the given etag; read it again and repeat");
}

absl::Status StateInvalid(absl::string_view what) { return Make("STATE_INVALID", what); }

absl::Status QuotaExceeded(absl::string_view what, std::optional<absl::Duration> retry_after) {
  absl::Status status = Make("QUOTA_EXCEEDED", absl::StrCat("quota exceeded: ", what));
  return retry_after.has_value() ? WithRetry(std::move(status), *retry_after) : status;
}

absl::Status QuotaExceeded(const QuotaBreach& breach) {
  absl::Status status = QuotaExceeded(breach.description, breach.retry_after);
  status = WithViolations(std::move(status), {{breach.subject, breach.description}});
  return WithCause(std::move(status), breach.quota);
}

absl::Status DeadlineExceeded(absl::string_view what) {
  return Make("DEADLINE_EXCEEDED", absl::StrCat("the deadline passed while waiting for ", what));
}

absl::Status Cancelled(absl::string_view what) { return Make("CANCELLED", what); }

absl::Status CustomerKeyRevoked(absl::string_view why) {
  return Make("CUSTOMER_KEY_REVOKED",
              absl::StrCat("the customer's vault refuses the hub's key: ", why));
}

absl::Status HubLocked() {
  return Make("HUB_LOCKED",
              "the hub was locked by its key administrator; unlock it to use its content");
}

absl::Status CustomerKeyUnfit(std::vector<Violation> checks) {
  return WithViolations(
      Make("CUSTOMER_KEY_UNFIT", absl::StrCat("the vault key cannot be used: ", Summary(checks))),
      checks);
}

absl::Status VaultChangeRefused(absl::string_view why) { return Make("VAULT_CHANGE_REFUSED", why); }

absl::Status KeyKindImmutable() {
  return Make("KEY_KIND_IMMUTABLE",
              "a hub cannot change between customer-managed and platform-managed keys");
}

absl::Status VaultLoginFailed(absl::string_view why) {
  return WithRetry(
      Make("VAULT_LOGIN_FAILED", absl::StrCat("the service could not log in to the vault: ", why)),
      absl::Seconds(10));
}

absl::Status VaultUnreachable(absl::string_view why, absl::Duration retry_after) {
  return WithRetry(
      Make("VAULT_UNREACHABLE", absl::StrCat("the customer's vault did not answer: ", why)),
      retry_after);
}

absl::Status VaultThrottled(absl::Duration retry_after) {
  return WithRetry(Make("VAULT_THROTTLED", "the customer's vault is throttling; try again later"),
                   retry_after);
}

absl::Status VaultBudgetUsedUp(absl::Duration retry_after) {
  return WithRetry(Make("VAULT_THROTTLED",
                        "this server makes as many calls to the customer's vault as it may; try "
                        "again later"),
                   retry_after);
}

absl::Status DocumentCorrupt() {
  return Make("DOCUMENT_CORRUPT", "the stored document does not open");
}

absl::Status DekNotFound() {
  return Make("DEK_NOT_FOUND", "the data encryption key of the stored document is not known");
}

absl::Status DekRecordCorrupt(absl::string_view why) {
  return Make("DEK_RECORD_CORRUPT",
              absl::StrCat("the wrapped data encryption key cannot be used: ", why));
}

absl::Status FormatTooNew(absl::string_view what) {
  return Make("FORMAT_TOO_NEW",
              absl::StrCat(what, " was written by a newer version; upgrade before reading it"));
}

absl::Status ServerStopping() {
  return WithRetry(Make("SERVER_STOPPING", "the server stops; connect again and go on from here"),
                   absl::Milliseconds(100));
}

absl::Status StoreBusy() {
  return WithRetry(Make("STORE_BUSY", "the store has more work than it can queue; try again"),
                   absl::Milliseconds(100));
}

absl::Status StoreStalled() {
  return WithRetry(Make("STORE_BUSY", "the store's disk does not take writes now; try again"),
                   absl::Seconds(1));
}

absl::Status StoreFull() {
  return WithRetry(Make("STORE_FULL", "the store has no room left; nothing was written"),
                   absl::Seconds(30));
}

absl::Status StoreCorrupt(absl::string_view why) {
  return Make("STORE_CORRUPT", absl::StrCat("the store found damage: ", why));
}

absl::Status IndexCorrupt(absl::string_view why) {
  return Make("INDEX_CORRUPT", absl::StrCat("the search index cannot be used: ", why));
}

absl::Status InvariantBroken(absl::string_view what) { return Make("INVARIANT", what); }

std::string ReasonOf(const absl::Status& status) {
  return PayloadText(status, kReasonUrl).value_or("");
}

bool HasReason(const absl::Status& status, absl::string_view reason) {
  return ReasonOf(status) == reason;
}

absl::Status WithCause(absl::Status status, absl::string_view cause) {
  status.SetPayload(kCauseUrl, absl::Cord(cause));
  return status;
}

std::string CauseOf(const absl::Status& status) {
  return PayloadText(status, kCauseUrl).value_or("");
}

std::optional<absl::Duration> RetryAfterOf(const absl::Status& status) {
  std::optional<std::string> text = PayloadText(status, kRetryUrl);
  int64_t milliseconds = 0;
  if (!text.has_value() || !absl::SimpleAtoi(*text, &milliseconds)) return std::nullopt;
  return absl::Milliseconds(milliseconds);
}

std::vector<Violation> ViolationsOf(const absl::Status& status) {
  std::vector<Violation> violations;
  const std::string packed = PayloadText(status, kViolationsUrl).value_or("");
  for (absl::string_view record : absl::StrSplit(packed, kRecordSeparator, absl::SkipEmpty())) {
    const std::pair<std::string, std::string> parts =
        absl::StrSplit(record, absl::MaxSplits(kUnitSeparator, 1));
    violations.push_back({parts.first, parts.second});
  }
  return violations;
}

absl::Status Annotate(const absl::Status& status, absl::string_view context) {
  if (status.ok()) return status;
  absl::Status annotated(status.code(), absl::StrCat(context, ": ", status.message()));
  status.ForEachPayload([&annotated](absl::string_view url, const absl::Cord& payload) {
    annotated.SetPayload(url, payload);
  });
  return annotated;
}

absl::Status AnnotateField(const absl::Status& status, absl::string_view field) {
  if (status.ok() || status.GetPayload(kViolationsUrl).has_value()) return status;
  return WithViolations(Annotate(status, field),
                        {{std::string(field), std::string(status.message())}});
}

}  // namespace cmkstore
