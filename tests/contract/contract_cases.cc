#include "tests/contract/contract_cases.h"

#include <functional>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/errors.h"
#include "base/status_macros.h"
#include "crypto/random.h"
#include "vault/vault_errors.h"

namespace cmkstore::contract {
namespace {

using vault::KeyRef;
using vault::WrappedKey;

constexpr absl::Duration kLook = absl::Milliseconds(500);

std::string Meaning(const absl::Status& status) {
  std::string text(vault::ToString(vault::OutcomeOf(status)));
  const std::string cause = CauseOf(status);
  return cause.empty() ? text : absl::StrCat(text, "/", cause);
}

// One key and what was wrapped under it.
class Bench {
 public:
  Bench(VaultUnderTest& under_test, std::string name)
      : under_test_(under_test), name_(std::move(name)), secret_(random_.Secret(32)) {}

  VaultUnderTest& owner() { return under_test_; }
  const std::string& name() const { return name_; }
  KeyRef Latest() const { return {under_test_.uri(), name_, "", ""}; }

  absl::Status Make(const KeyKind& kind = {}) { return under_test_.MakeKey(name_, kind); }
  absl::Status MakeAndWrap(const KeyKind& kind = {}) {
    CMK_RETURN_IF_ERROR(Make(kind));
    return WrapNow().status();
  }
  absl::StatusOr<WrappedKey> WrapNow() {
    absl::StatusOr<WrappedKey> wrapped = under_test_.vault().Wrap(Latest(), secret_, Soon());
    if (wrapped.ok()) wrapped_ = *wrapped;
    return wrapped;
  }
  WrappedKey& wrapped() { return wrapped_; }
  absl::StatusOr<vault::KeyDescription> Describe() {
    return under_test_.vault().Describe(Latest(), Soon());
  }
  std::string Unwrap() {
    const auto opened = under_test_.vault().Unwrap(Latest(), wrapped_, Soon());
    if (!opened.ok()) return Meaning(opened.status());
    return secret_.EqualsInConstantTime(opened->Reveal()) ? "healthy" : "another key";
  }

 private:
  absl::Time Soon() const { return absl::Now() + under_test_.call_time(); }

  VaultUnderTest& under_test_;
  const std::string name_;
  crypto::SystemRandom random_;
  const crypto::SecretBytes secret_;
  WrappedKey wrapped_;
};

using Step = std::function<absl::Status(Bench&)>;
// Returns the meaning observed.
using Look = std::function<absl::StatusOr<std::string>(Bench&)>;

struct Case {
  const char* name;
  const char* situation;
  const char* expected;
  Step set_up;
  Look look;
  // What the owner then does, which a vault may take some time to show.
  Step change = nullptr;
};

absl::Status MakeAndWrap(Bench& bench) { return bench.MakeAndWrap(); }
absl::Status Nothing(Bench&) { return absl::OkStatus(); }
absl::StatusOr<std::string> LookUnwrap(Bench& bench) { return bench.Unwrap(); }
absl::StatusOr<std::string> LookWrap(Bench& bench) { return Meaning(bench.WrapNow().status()); }
absl::StatusOr<std::string> LookDescribe(Bench& bench) {
  return Meaning(bench.Describe().status());
}
absl::StatusOr<std::string> LookEnabled(Bench& bench) {
  const auto key = bench.Describe();
  if (!key.ok()) return Meaning(key.status());
  return key->enabled ? "enabled" : "disabled";
}

Step Changed(KeyChange change) {
  return [change](Bench& bench) { return bench.owner().Change(bench.name(), change); };
}

Case RoundTrip(const char* name, const char* situation, KeyKind kind) {
  const auto look = [kind](Bench& bench) -> absl::StatusOr<std::string> {
    const auto described = bench.Describe();
    if (!described.ok()) return Meaning(described.status());
    if (described->size_bits != static_cast<uint32_t>(kind.bits)) {
      return absl::StrCat("a key of ", described->size_bits, " bits");
    }
    if (const auto wrapped = bench.WrapNow(); !wrapped.ok()) return Meaning(wrapped.status());
    return bench.Unwrap();
  };
  return {name, situation, "healthy", [kind](Bench& bench) { return bench.Make(kind); }, look};
}

Case BadCiphertext(const char* name, const char* situation, KeyKind kind) {
  return {name, situation, "corrupt/BadParameter",
          [kind](Bench& bench) { return bench.MakeAndWrap(kind); },
          [](Bench& bench) -> absl::StatusOr<std::string> {
            bench.wrapped().ciphertext.back() ^= 1;
            return bench.Unwrap();
          }};
}

std::vector<Case> Keys() {
  const KeyKind symmetric{.symmetric = true, .bits = 256};
  return {
      RoundTrip("round_trip_2048", "a 2048-bit key: describe, wrap, unwrap", {.bits = 2048}),
      RoundTrip("round_trip_3072", "a 3072-bit key: describe, wrap, unwrap", {.bits = 3072}),
      RoundTrip("round_trip_4096", "a 4096-bit key: describe, wrap, unwrap", {.bits = 4096}),
      RoundTrip("round_trip_symmetric", "an AES key: describe, wrap, unwrap", symmetric),
      {"purge_protected", "the recovery level shows soft delete and purge protection", "yes",
       [](Bench& bench) { return bench.Make(); },
       [](Bench& bench) -> absl::StatusOr<std::string> {
         const auto key = bench.Describe();
         if (!key.ok()) return Meaning(key.status());
         return key->soft_delete && key->purge_protection
                    ? "yes"
                    : absl::StrCat("no: ", key->recovery_level);
       }},
      BadCiphertext("bad_ciphertext", "unwrap of a ciphertext with a flipped bit", {}),
      BadCiphertext("bad_ciphertext_symmetric", "the same, by an AES key", symmetric),
      {"old_version", "unwrap by the version that wrapped, after a new version", "healthy",
       MakeAndWrap, LookUnwrap, [](Bench& bench) { return bench.Make(); }},
      {"ciphertext_of_another_version", "unwrap by a version that did not wrap it",
       "corrupt/BadParameter",
       [](Bench& bench) -> absl::Status {
         CMK_RETURN_IF_ERROR(bench.MakeAndWrap());
         const std::string ciphertext = bench.wrapped().ciphertext;
         CMK_RETURN_IF_ERROR(bench.MakeAndWrap());
         bench.wrapped().ciphertext = ciphertext;
         return absl::OkStatus();
       },
       LookUnwrap},
      {"unknown_version", "unwrap by a version that never was, of a key that is there",
       "corrupt/KeyVersionNotFound", MakeAndWrap,
       [](Bench& bench) -> absl::StatusOr<std::string> {
         std::string& id = bench.wrapped().version_id;
         id = id.substr(0, id.rfind('/') + 1) + "00000000000000000000000000000000";
         return bench.Unwrap();
       }},
      {"unknown_key", "describe a key that never was", "denied/KeyNotFound", Nothing, LookDescribe},
  };
}

std::vector<Case> Withdrawals() {
  const absl::Time now = absl::Now();
  KeyChange disabled, enabled, expired, early, no_unwrap, no_wrap;
  disabled.enabled = false;
  enabled.enabled = true;
  expired.not_before = now - absl::Hours(48);
  expired.expires = now - absl::Hours(24);
  early.not_before = now + absl::Hours(24);
  no_unwrap.operations = std::vector<std::string>{"wrapKey"};
  no_wrap.operations = std::vector<std::string>{"unwrapKey"};
  return {
      {"disabled_unwrap", "unwrap by a disabled key", "denied/KeyDisabled", MakeAndWrap, LookUnwrap,
       Changed(disabled)},
      {"disabled_wrap", "wrap by a disabled key", "healthy", MakeAndWrap, LookWrap,
       Changed(disabled)},
      {"disabled_describe", "describe a disabled key", "disabled", MakeAndWrap, LookEnabled,
       Changed(disabled)},
      {"enabled_again", "unwrap by a key that was disabled and is enabled again", "healthy",
       [disabled](Bench& bench) -> absl::Status {
         CMK_RETURN_IF_ERROR(bench.MakeAndWrap());
         return bench.owner().Change(bench.name(), disabled);
       },
       LookUnwrap, Changed(enabled)},
      {"expired_unwrap", "unwrap by an expired key", "healthy", MakeAndWrap, LookUnwrap,
       Changed(expired)},
      {"expired_wrap", "wrap by an expired key", "unfit/KeyNotYetValidOrExpired", MakeAndWrap,
       LookWrap, Changed(expired)},
      {"early_unwrap", "unwrap by a key that is not valid yet", "healthy", MakeAndWrap, LookUnwrap,
       Changed(early)},
      {"early_wrap", "wrap by a key that is not valid yet", "unfit/KeyNotYetValidOrExpired",
       MakeAndWrap, LookWrap, Changed(early)},
      {"unwrap_not_permitted", "unwrap by a key whose key_ops lack it",
       "denied/KeyOperationForbidden", MakeAndWrap, LookUnwrap, Changed(no_unwrap)},
      {"wrap_not_permitted", "wrap by a key whose key_ops lack it", "denied/KeyOperationForbidden",
       MakeAndWrap, LookWrap, Changed(no_wrap)},
      {"deleted_unwrap", "unwrap by a deleted key", "denied/KeyNotFound", MakeAndWrap, LookUnwrap,
       [](Bench& bench) { return bench.owner().Delete(bench.name()); }},
      {"recovered_unwrap", "unwrap by a key that was deleted and recovered", "healthy",
       [](Bench& bench) -> absl::Status {
         CMK_RETURN_IF_ERROR(bench.MakeAndWrap());
         return bench.owner().Delete(bench.name());
       },
       LookUnwrap, [](Bench& bench) { return bench.owner().Recover(bench.name()); }},
  };
}

std::vector<Case> Logins() {
  return {
      {"no_token", "a call without a token", "401 with a challenge", Nothing,
       [](Bench& bench) { return bench.owner().AskWithoutToken(bench.name()); }},
      {"bad_token", "a call with a token that nobody issued", "login_failed/token_refused",
       [](Bench& bench) { return bench.Make(); },
       [](Bench& bench) -> absl::StatusOr<std::string> {
         const absl::Status status = bench.owner().DescribeWithBadToken(bench.name());
         if (absl::IsUnimplemented(status)) return status;
         return Meaning(status);
       }},
  };
}

// Looks once; after a change again for as long as the vault may take to show it, and only while it
// answers as it did before. Any other wrong answer stands: a vault that is right now and then is
// wrong.
absl::Status Observe(const Case& one, Bench& bench, absl::Duration settle_time,
                     CaseResult& result) {
  CMK_RETURN_IF_ERROR(one.set_up(bench));
  std::string before;
  if (one.change != nullptr) {
    CMK_ASSIGN_OR_RETURN(before, one.look(bench));
    CMK_RETURN_IF_ERROR(one.change(bench));
  }
  const absl::Time changed = absl::Now();
  CMK_ASSIGN_OR_RETURN(result.observed, one.look(bench));
  while (one.change != nullptr && result.observed == before && result.observed != one.expected &&
         absl::Now() < changed + settle_time) {
    absl::SleepFor(kLook);
    ++result.late_looks;
    CMK_ASSIGN_OR_RETURN(result.observed, one.look(bench));
  }
  return absl::OkStatus();
}

CaseResult RunCase(const Case& one, VaultUnderTest& under_test, const std::string& prefix) {
  CaseResult result{one.name, one.situation, one.expected};
  std::string key = absl::StrCat(prefix, one.name);
  for (char& c : key) c = c == '_' ? '-' : c;
  Bench bench(under_test, key);
  const absl::Status status = Observe(one, bench, under_test.settle_time(), result);
  if (status.ok()) return result;
  result.observed = absl::IsUnimplemented(status) ? "" : kNotSetUp;
  result.detail = std::string(status.message());
  return result;
}

}  // namespace

std::vector<CaseResult> RunContract(VaultUnderTest& under_test, const std::string& prefix) {
  std::vector<CaseResult> results;
  for (const std::vector<Case>& group : {Keys(), Withdrawals(), Logins()}) {
    for (const Case& one : group) results.push_back(RunCase(one, under_test, prefix));
  }
  return results;
}

}  // namespace cmkstore::contract
