#pragma once

#include <deque>
#include <functional>
#include <map>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "base/errors.h"
#include "crypto/key_wrap.h"
#include "crypto/random.h"
#include "vault/key_vault.h"

namespace cmkstore::testing {

// A vault in memory that really wraps (AES-KW), with an ordered script of faults. Thread-safe.
class FakeKeyVault final : public vault::KeyVault {
 public:
  absl::StatusOr<vault::KeyDescription> Describe(const vault::KeyRef& key, absl::Time) override {
    if (absl::Status fault = Enter(); !fault.ok()) return fault;
    vault::KeyDescription description;
    description.version_id = absl::StrCat(key.vault_uri, "/keys/", key.key_name, "/1");
    description.type = "RSA";
    description.size_bits = 3072;
    description.operations = {"wrapkey", "unwrapkey"};
    description.recovery_level = "Recoverable";
    description.soft_delete = description.purge_protection = true;
    return description;
  }

  absl::StatusOr<vault::WrappedKey> Wrap(const vault::KeyRef& key, const crypto::SecretBytes& dek,
                                         absl::Time) override {
    if (absl::Status fault = Enter(); !fault.ok()) return fault;
    return vault::WrappedKey{absl::StrCat(key.vault_uri, "/keys/", key.key_name, "/1"), "A256KW",
                             crypto::AesKeyWrap(kek_, dek)};
  }

  absl::StatusOr<crypto::SecretBytes> Unwrap(const vault::KeyRef& key,
                                             const vault::WrappedKey& wrapped,
                                             absl::Time) override {
    {
      absl::MutexLock lock(&mutex_);
      ++unwraps_;
      const auto free = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return !held_; };
      mutex_.Await(absl::Condition(&free));
      for (const std::string& name : {key.key_name, wrapped.version_id}) {
        if (const auto found = answers_.find(name); found != answers_.end()) return found->second;
      }
    }
    if (absl::Status fault = Enter(); !fault.ok()) return fault;
    return crypto::AesKeyUnwrap(kek_, wrapped.ciphertext);
  }

  // The next `times` calls fail with `status`.
  void FailNext(const absl::Status& status, int times = 1) {
    absl::MutexLock lock(&mutex_);
    for (int i = 0; i < times; ++i) faults_.push_back(status);
  }
  // Every unwrap of this key fails with `status` until Heal.
  void Break(const std::string& key_name, const absl::Status& status) {
    absl::MutexLock lock(&mutex_);
    answers_[key_name] = status;
  }
  void Heal(const std::string& key_name) {
    absl::MutexLock lock(&mutex_);
    answers_.erase(key_name);
  }
  // The same for what one version of a key wrapped.
  void BreakVersion(const std::string& version_id, const absl::Status& status) {
    Break(version_id, status);
  }
  void HealVersion(const std::string& version_id) { Heal(version_id); }
  // Unwraps wait inside the vault until ReleaseCalls.
  void HoldCalls() { SetHeld(true); }
  void ReleaseCalls() { SetHeld(false); }
  int unwraps() {
    absl::MutexLock lock(&mutex_);
    return unwraps_;
  }

 private:
  absl::Status Enter() {
    absl::MutexLock lock(&mutex_);
    if (faults_.empty()) return absl::OkStatus();
    absl::Status fault = faults_.front();
    faults_.pop_front();
    return fault;
  }
  void SetHeld(bool held) {
    absl::MutexLock lock(&mutex_);
    held_ = held;
  }

  const crypto::SecretBytes kek_ = crypto::SystemRandom().Secret(32);
  absl::Mutex mutex_;
  std::deque<absl::Status> faults_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, absl::Status> answers_ ABSL_GUARDED_BY(mutex_);
  bool held_ ABSL_GUARDED_BY(mutex_) = false;
  int unwraps_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace cmkstore::testing
