#pragma once

#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "base/clock.h"

namespace cmkstore::vault {

// Half of what a vault of the public cloud takes a second, by the key's type; a larger key costs
// more. Whether a stored ciphertext's key is in hardware is not known from it, so hardware, the
// smaller limit, is taken. `ciphertext_bytes` is the size of an RSA modulus.
double CallsPerSecond(absl::string_view algorithm, size_t ciphertext_bytes);
// The same for calls to a key whose type nobody knows yet: that of the largest.
double CallsPerSecondOfAnyKey();

// How often each vault may be called: a token bucket per vault that is filled by time, in seconds
// of the vault's attention. Half of that is for probes, and either takes what the other leaves:
// many keys to probe keep nobody from opening one. Of the other half, who waits in Await has a turn
// after each half second that others took: many keys to open keep nobody from checking one. No
// window of one second holds more calls than the budget of its key's type. A vault that throttles
// is left alone for as long as it says, or 1, 2, 4, 8, 16 s with jitter.
//
// Thread-safe. Holds small entries for each vault that was called, and each tenant that named one,
// in the last minutes.
class CallBudget {
 public:
  explicit CallBudget(Clock& clock) : clock_(clock) {}

  // Takes a call out of the vault's bucket if there is one in it that is nobody else's turn.
  [[nodiscard]] bool TryTake(const std::string& vault, double calls_per_second);
  // The same for a call that must not wait long, a probe: it may owe up to a second's worth, and
  // leaves a vault that throttles alone for 10 s at most, so that a key withdrawn meanwhile is
  // noticed.
  [[nodiscard]] bool TryTakeOnCredit(const std::string& vault, double calls_per_second);
  // VAULT_THROTTLED, with the cause "throttled", when the vault wants to be left alone until
  // `deadline` or longer: who would wait for it in vain is told at once for how long it would be.
  absl::Status CheckPause(const std::string& vault, absl::Time deadline);
  // Waits for a turn, and takes a call. Errors: VAULT_THROTTLED, once the turn cannot come before
  // the deadline; with the cause "throttled" if it is the vault that wants to be left alone.
  absl::Status Await(const std::string& vault, double calls_per_second, absl::Time deadline);
  // Waits for a call without a token, which any tenant can cause to any vault: of the vault's
  // bucket it takes nothing, but of one for all such calls to it and of another for those of the
  // tenant. It too waits while the vault wants to be left alone. Errors: as Await.
  absl::Status AwaitWithoutToken(const std::string& tenant, const std::string& vault,
                                 absl::Time deadline);
  // What was taken for a key that has turned out to be a smaller one.
  void GiveBack(const std::string& vault, double taken_per_second, double calls_per_second);
  // The vault throttles, and says for how long; `spread` in [0, 1) is the jitter's share.
  void Throttled(const std::string& vault, absl::Duration retry_after, double spread);
  // The vault did not answer, or it answered other than by throttling.
  void Unreachable(const std::string& vault);
  void Answered(const std::string& vault);
  // Whether it did not answer last time: no time to ask it twice.
  bool failing(const std::string& vault);

 private:
  struct Bucket {
    absl::Duration level;
    absl::Duration probes_level;  // zero, or what probes owe
    absl::Time filled;            // monotonic
    absl::Duration others_took;   // since who waits had a turn; goes no further than makes a turn
    absl::Time awaited_until = absl::InfinitePast();  // somebody waits for a turn
    absl::Time paused_until = absl::InfinitePast();
    absl::Time probes_paused_until = absl::InfinitePast();
    absl::Duration backoff = absl::ZeroDuration();
    bool failing = false;
  };

  static void PauseProbes(Bucket& bucket);
  bool TryTakeInTurn(const std::string& vault, double calls_per_second);
  Bucket& Filled(const std::string& vault, absl::Duration cost)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status AwaitThat(absl::FunctionRef<bool()> may_be_called, const std::string& vault,
                         absl::Time deadline);
  // For how long the vault still wants to be left alone; zero or less: it may be called.
  absl::Duration Pause(const std::string& vault);
  void Prune(absl::Time now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  Clock& clock_;
  absl::Mutex mutex_;
  absl::flat_hash_map<std::string, Bucket> buckets_ ABSL_GUARDED_BY(mutex_);
  absl::Time next_prune_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();  // monotonic
};

}  // namespace cmkstore::vault
