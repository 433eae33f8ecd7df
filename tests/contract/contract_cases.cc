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

constexpr absl::Duration kCallTime = absl::Seconds(20);
constexpr absl::Duration kLook = absl::Milliseconds(500);

absl::Time Soon() { return absl::Now() + kCallTime; }

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

  absl::Status Make(int bits = 2048) { return under_test_.MakeKey(name_, bits); }
  absl::Status MakeAndWrap(int bits = 2048) {
    CMK_RETURN_IF_ERROR(Make(bits));
    return WrapNow().status();
  }
  absl::StatusOr<WrappedKey> WrapNow() {
    absl::StatusOr<WrappedKey> wrapped = under_test_.vault().Wrap(Latest(), secret_, Soon());
    if (wrapped.ok()) wrapped_ = *wrapped;
    return wrapped;
  }
  WrappedKey& wrapped() { return wrapped_; }
  absl::Status Describe(const KeyRef& key) {
    return under_test_.vault().Describe(key, Soon()).status();
  }
  std::string Unwrap() {
    const auto opened = under_test_.vault().Unwrap(Latest(), wrapped_, Soon());
    if (!opened.ok()) return Meaning(opened.status());
    return secret_.EqualsInConstantTime(opened->Reveal()) ? "healthy" : "another key";
  }

 private:
  VaultUnderTest& under_test_;
  const std::string name_;
  crypto::SystemRandom random_;
  const crypto::SecretBytes secret_;
  WrappedKey wrapped_;
};

// Returns the meaning observed; an error means that the case could not be set up.
using Run = std::function<absl::StatusOr<std::string>(Bench&)>;

struct Case {
  const char* name;
  const char* situation;
  const char* expected;
  Run run;
};

Run AfterChange(KeyChange change, std::function<std::string(Bench&)> look) {
  return [change, look](Bench& bench) -> absl::StatusOr<std::string> {
    CMK_RETURN_IF_ERROR(bench.MakeAndWrap());
    CMK_RETURN_IF_ERROR(bench.owner().Change(bench.name(), change));
    return look(bench);
  };
}

std::string LookUnwrap(Bench& bench) { return bench.Unwrap(); }
std::string LookWrap(Bench& bench) { return Meaning(bench.WrapNow().status()); }

Run RoundTrip(int bits) {
  return [bits](Bench& bench) -> absl::StatusOr<std::string> {
    CMK_RETURN_IF_ERROR(bench.Make(bits));
    const auto described = bench.owner().vault().Describe(bench.Latest(), Soon());
    if (!described.ok()) return Meaning(described.status());
    if (described->size_bits != static_cast<uint32_t>(bits)) {
      return absl::StrCat("a key of ", described->size_bits, " bits");
    }
    if (const auto wrapped = bench.WrapNow(); !wrapped.ok()) return Meaning(wrapped.status());
    return bench.Unwrap();
  };
}

std::vector<Case> Keys() {
  return {
      {"round_trip_2048", "a 2048-bit key: describe, wrap, unwrap", "healthy", RoundTrip(2048)},
      {"round_trip_3072", "a 3072-bit key: describe, wrap, unwrap", "healthy", RoundTrip(3072)},
      {"round_trip_4096", "a 4096-bit key: describe, wrap, unwrap", "healthy", RoundTrip(4096)},
      {"purge_protected", "the recovery level shows soft delete and purge protection", "yes",
       [](Bench& bench) -> absl::StatusOr<std::string> {
         CMK_RETURN_IF_ERROR(bench.Make());
         const auto key = bench.owner().vault().Describe(bench.Latest(), Soon());
         if (!key.ok()) return Meaning(key.status());
         return key->soft_delete && key->purge_protection
                    ? "yes"
                    : absl::StrCat("no: ", key->recovery_level);
       }},
      {"bad_ciphertext", "unwrap of a ciphertext with a flipped bit", "corrupt/BadParameter",
       [](Bench& bench) -> absl::StatusOr<std::string> {
         CMK_RETURN_IF_ERROR(bench.MakeAndWrap());
         bench.wrapped().ciphertext.back() ^= 1;
         return bench.Unwrap();
       }},
      {"old_version", "unwrap by the version that wrapped, after a new version", "healthy",
       [](Bench& bench) -> absl::StatusOr<std::string> {
         CMK_RETURN_IF_ERROR(bench.MakeAndWrap());
         CMK_RETURN_IF_ERROR(bench.Make());
         return bench.Unwrap();
       }},
      {"ciphertext_of_another_version", "unwrap by a version that did not wrap it",
       "corrupt/BadParameter",
       [](Bench& bench) -> absl::StatusOr<std::string> {
         CMK_RETURN_IF_ERROR(bench.MakeAndWrap());
         const std::string ciphertext = bench.wrapped().ciphertext;
         CMK_RETURN_IF_ERROR(bench.MakeAndWrap());
         bench.wrapped().ciphertext = ciphertext;
         return bench.Unwrap();
       }},
      {"unknown_version", "unwrap by a version that never was, of a key that is there",
       "corrupt/KeyVersionNotFound",
       [](Bench& bench) -> absl::StatusOr<std::string> {
         CMK_RETURN_IF_ERROR(bench.MakeAndWrap());
         std::string& id = bench.wrapped().version_id;
         id = id.substr(0, id.rfind('/') + 1) + "00000000000000000000000000000000";
         return bench.Unwrap();
       }},
      {"unknown_key", "describe a key that never was", "denied/KeyNotFound",
       [](Bench& bench) -> absl::StatusOr<std::string> {
         return Meaning(bench.Describe(bench.Latest()));
       }},
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
      {"disabled_unwrap", "unwrap by a disabled key", "denied/KeyDisabled",
       AfterChange(disabled, LookUnwrap)},
      {"disabled_wrap", "wrap by a disabled key", "healthy", AfterChange(disabled, LookWrap)},
      {"disabled_describe", "describe a disabled key", "disabled",
       AfterChange(disabled,
                   [](Bench& bench) -> std::string {
                     const auto key = bench.owner().vault().Describe(bench.Latest(), Soon());
                     if (!key.ok()) return Meaning(key.status());
                     return key->enabled ? "enabled" : "disabled";
                   })},
      {"enabled_again", "unwrap by a key that was disabled and is enabled again", "healthy",
       [disabled, enabled](Bench& bench) -> absl::StatusOr<std::string> {
         CMK_RETURN_IF_ERROR(bench.MakeAndWrap());
         CMK_RETURN_IF_ERROR(bench.owner().Change(bench.name(), disabled));
         CMK_RETURN_IF_ERROR(bench.owner().Change(bench.name(), enabled));
         return bench.Unwrap();
       }},
      {"expired_unwrap", "unwrap by an expired key", "healthy", AfterChange(expired, LookUnwrap)},
      {"expired_wrap", "wrap by an expired key", "unfit/KeyNotYetValidOrExpired",
       AfterChange(expired, LookWrap)},
      {"early_unwrap", "unwrap by a key that is not valid yet", "healthy",
       AfterChange(early, LookUnwrap)},
      {"early_wrap", "wrap by a key that is not valid yet", "unfit/KeyNotYetValidOrExpired",
       AfterChange(early, LookWrap)},
      {"unwrap_not_permitted", "unwrap by a key whose key_ops lack it",
       "denied/KeyOperationForbidden", AfterChange(no_unwrap, LookUnwrap)},
      {"wrap_not_permitted", "wrap by a key whose key_ops lack it", "denied/KeyOperationForbidden",
       AfterChange(no_wrap, LookWrap)},
      {"deleted_unwrap", "unwrap by a deleted key", "denied/KeyNotFound",
       [](Bench& bench) -> absl::StatusOr<std::string> {
         CMK_RETURN_IF_ERROR(bench.MakeAndWrap());
         CMK_RETURN_IF_ERROR(bench.owner().Delete(bench.name()));
         return bench.Unwrap();
       }},
      {"recovered_unwrap", "unwrap by a key that was deleted and recovered", "healthy",
       [](Bench& bench) -> absl::StatusOr<std::string> {
         CMK_RETURN_IF_ERROR(bench.MakeAndWrap());
         CMK_RETURN_IF_ERROR(bench.owner().Delete(bench.name()));
         CMK_RETURN_IF_ERROR(bench.owner().Recover(bench.name()));
         return bench.Unwrap();
       }},
  };
}

std::vector<Case> Logins() {
  return {
      {"no_token", "a call without a token", "401 with a challenge",
       [](Bench& bench) -> absl::StatusOr<std::string> {
         return bench.owner().AskWithoutToken(bench.name());
       }},
      {"bad_token", "a call with a token that nobody issued", "login_failed/login",
       [](Bench& bench) -> absl::StatusOr<std::string> {
         const absl::Status status = bench.owner().DescribeWithBadToken(bench.name());
         if (absl::IsUnimplemented(status)) return status;
         return Meaning(status);
       }},
  };
}

// Asks until the vault says what is expected, or its changes must have been seen.
CaseResult RunCase(const Case& one, VaultUnderTest& under_test, const std::string& prefix) {
  CaseResult result{one.name, one.situation, one.expected, ""};
  std::string key = absl::StrCat(prefix, one.name);
  for (char& c : key) c = c == '_' ? '-' : c;
  const absl::Time give_up = absl::Now() + under_test.settle_time();
  for (int attempt = 0;; ++attempt) {
    Bench bench(under_test, attempt == 0 ? key : absl::StrCat(key, "-", attempt));
    const absl::StatusOr<std::string> observed = one.run(bench);
    if (absl::IsUnimplemented(observed.status())) return result;
    result.observed =
        observed.ok() ? *observed : absl::StrCat("not set up: ", observed.status().message());
    if (result.observed == one.expected || absl::Now() >= give_up) return result;
    absl::SleepFor(kLook);
  }
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
