#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "vault/key_vault.h"

namespace cmkstore::vault {

// What was asked of one vault since `since`.
struct VaultUsage {
  absl::Time since = absl::InfiniteFuture();  // wall clock; infinite: never called
  uint64_t describes = 0;
  uint64_t wraps = 0;
  uint64_t unwraps = 0;
  uint64_t denials = 0;
  uint64_t failures = 0;        // outages, and logins that failed before a call
  uint64_t throttled = 0;       // part of none of the above
  uint64_t busiest_second = 0;  // calls; a wrap is two
};

// Whose trouble it looks like when a vault gives no word on its key, from how the other vaults of
// this server do. An answer with an error (5xx, 429, what nobody understands) came over verified
// TLS: it proves that our network works.
enum class TroubleSide {
  kNone,          // it answers
  kThisVault,     // others answer, or it answers with an error and no other is reached
  kVaultService,  // no other answers well, and some answer with an error
  kOurNetwork,    // it is not reached, and no other is
  kOurLogin,      // our token does not come, or no vault takes it
  kUnknown,       // it is not reached, and no other was called lately
};
absl::string_view ToString(TroubleSide side);

struct VaultTrouble {
  TroubleSide side = TroubleSide::kNone;
  std::string cause;  // dns, connect, tls, timeout, http_5xx, throttled, login, unknown …
  absl::Time since = absl::InfiniteFuture();  // wall clock
  // Other vaults that were called lately; not those for which our login failed.
  uint32_t others_answering = 0;
  uint32_t others_failing = 0;
  uint32_t others_erring = 0;  // of those that fail: they answered, with an error
};

// Counts what is asked of each vault and how it answered last. Thread-safe. One small entry per
// vault; at most `max_vaults`, the longest silent goes first.
class VaultMeter {
 public:
  explicit VaultMeter(Clock& clock, size_t max_vaults = 100'000)
      : clock_(clock), max_vaults_(max_vaults) {}

  enum class Operation { kDescribe, kWrap, kUnwrap };
  void Count(const KeyRef& key, Operation operation, const absl::Status& answer);

  // A call without a token: it adds to what the vault is asked in a second, is not charged for, and
  // tells nothing of how the vault does for those who have one.
  void CountWithoutToken(const std::string& vault);

  VaultUsage Usage(const std::string& vault);
  VaultTrouble Trouble(const std::string& vault);
  // How many vaults that were called in the last two minutes are in trouble, by side; kNone: how
  // many are not.
  std::map<TroubleSide, uint32_t> Troubles();

 private:
  struct Entry {
    VaultUsage usage;
    int64_t second = 0;
    uint64_t in_second = 0;
    absl::Time last_call = absl::InfinitePast();  // wall clock
    absl::Time failing_since = absl::InfiniteFuture();
    std::string cause;     // empty: it answered last time
    std::string identity;  // that called it last
  };
  // Vaults that were called lately, by how their last call ended.
  enum Contact : size_t { kAnswered, kErred, kSilent, kNoToken, kNoConsentThere, kTokenNotTaken };
  using Census = std::array<uint32_t, 6>;  // by Contact
  using Identities = absl::flat_hash_set<std::string>;
  static Contact ContactOf(const Entry& entry);
  Census CountLately(absl::Time now) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Whose token a vault took lately.
  Identities TakenLately(absl::Time now) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Of an entry that fails; `others` without it.
  static TroubleSide SideOf(const Entry& entry, const Census& others, const Identities& taken);
  Entry& EntryFor(const std::string& vault) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  static void CountCalls(Entry& entry, uint64_t calls, absl::Time now);
  void MakeRoom() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  Clock& clock_;
  const size_t max_vaults_;
  absl::Mutex mutex_;
  absl::flat_hash_map<std::string, Entry> vaults_ ABSL_GUARDED_BY(mutex_);
};

// Calls a vault and has each call counted. Thread-safe; `vault` and `meter` must outlive this.
class MeteredKeyVault final : public KeyVault {
 public:
  MeteredKeyVault(KeyVault& vault, VaultMeter& meter) : vault_(vault), meter_(meter) {}

  absl::StatusOr<KeyDescription> Describe(const KeyRef& key, absl::Time deadline) override;
  absl::StatusOr<WrappedKey> Wrap(const KeyRef& key, const crypto::SecretBytes& dek,
                                  absl::Time deadline) override;
  absl::StatusOr<crypto::SecretBytes> Unwrap(const KeyRef& key, const WrappedKey& wrapped,
                                             absl::Time deadline) override;

 private:
  KeyVault& vault_;
  VaultMeter& meter_;
};

}  // namespace cmkstore::vault
