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
    absl::MutexLock lock(&mutex_);
    ++describes_;
    vault::KeyDescription description;
    description.version_id = LatestOf(key);
    description.type = "RSA";
    description.size_bits = static_cast<uint32_t>(bits_);
    description.operations = {"wrapkey", "unwrapkey"};
    description.recovery_level = "Recoverable";
    description.soft_delete = description.purge_protection = true;
    description.recoverable_days = 90;
    for (const std::string& name : {key.key_name, description.version_id}) {
      const auto answer = answers_.find(name);
      if (answer != answers_.end() && CauseOf(answer->second) == "KeyDisabled") {
        description.enabled = false;
      }
    }
    return description;
  }

  absl::StatusOr<vault::WrappedKey> Wrap(const vault::KeyRef& key, const crypto::SecretBytes& dek,
                                         absl::Time) override {
    if (absl::Status fault = Enter(); !fault.ok()) return fault;
    absl::MutexLock lock(&mutex_);
    if (!wrap_refusal_.ok()) return wrap_refusal_;
    const std::string id = LatestOf(key);
    std::string ciphertext = crypto::AesKeyWrap(kek_, dek) + id.back();
    if (padded_) ciphertext.resize(static_cast<size_t>(bits_) / 8, '\0');
    return vault::WrappedKey{id, padded_ ? "RSA-OAEP-256" : "A256KW", std::move(ciphertext)};
  }

  absl::StatusOr<crypto::SecretBytes> Unwrap(const vault::KeyRef& key,
                                             const vault::WrappedKey& wrapped,
                                             absl::Time) override {
    {
      absl::MutexLock lock(&mutex_);
      ++unwraps_;
      const auto free = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return !held_; };
      mutex_.Await(absl::Condition(&free));
      if (on_unwrap_) on_unwrap_(key);
      for (const std::string& name : {key.key_name, wrapped.version_id}) {
        if (const auto found = answers_.find(name); found != answers_.end()) return found->second;
      }
      if (padded_ && (wrapped.version_id.size() > LatestOf(key).size() ||
                      wrapped.version_id.back() > LatestOf(key).back())) {
        return WithCause(DekRecordCorrupt("no such version"), "KeyVersionNotFound");
      }
    }
    if (absl::Status fault = Enter(); !fault.ok()) return fault;
    constexpr size_t kWrapped = 40;
    const std::string& bytes = wrapped.ciphertext;
    // Keys of RSA's kind are told apart by version; without a size one key serves all.
    if (bytes.size() > kWrapped + 1 &&
        (bytes[kWrapped] != wrapped.version_id.back() ||
         bytes.find_first_not_of('\0', kWrapped + 1) != std::string::npos)) {
      return WithCause(DekRecordCorrupt("of another version"), "BadParameter");
    }
    return crypto::AesKeyUnwrap(kek_, absl::string_view(bytes).substr(0, kWrapped));
  }

  // Keys of this size from now on, with ciphertexts as large as RSA's.
  void SetKeyBits(int bits) {
    absl::MutexLock lock(&mutex_);
    bits_ = bits;
    padded_ = true;
  }
  // A new version of a key; at most 9.
  void AddVersion(const std::string& key_name) {
    absl::MutexLock lock(&mutex_);
    ++versions_[key_name];
  }
  // Called for each unwrap, whatever its answer; must not call back.
  void OnUnwrap(std::function<void(const vault::KeyRef&)> listener) {
    absl::MutexLock lock(&mutex_);
    on_unwrap_ = std::move(listener);
  }
  // The next `times` calls fail with `status`.
  void FailNext(const absl::Status& status, int times = 1) {
    absl::MutexLock lock(&mutex_);
    for (int i = 0; i < times; ++i) faults_.push_back(status);
  }
  // Every wrap fails with `status`; OK ends it.
  void RefuseWraps(const absl::Status& status) {
    absl::MutexLock lock(&mutex_);
    wrap_refusal_ = status;
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
  int describes() {
    absl::MutexLock lock(&mutex_);
    return describes_;
  }

 private:
  absl::Status Enter() {
    absl::MutexLock lock(&mutex_);
    if (faults_.empty()) return absl::OkStatus();
    absl::Status fault = faults_.front();
    faults_.pop_front();
    return fault;
  }
  std::string LatestOf(const vault::KeyRef& key) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const auto found = versions_.find(key.key_name);
    return absl::StrCat(key.vault_uri, "/keys/", key.key_name, "/",
                        found == versions_.end() ? 1 : 1 + found->second);
  }
  void SetHeld(bool held) {
    absl::MutexLock lock(&mutex_);
    held_ = held;
  }

  const crypto::SecretBytes kek_ = crypto::SystemRandom().Secret(32);
  absl::Mutex mutex_;
  std::deque<absl::Status> faults_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, absl::Status> answers_ ABSL_GUARDED_BY(mutex_);
  absl::Status wrap_refusal_ ABSL_GUARDED_BY(mutex_);
  bool held_ ABSL_GUARDED_BY(mutex_) = false;
  int unwraps_ ABSL_GUARDED_BY(mutex_) = 0;
  int describes_ ABSL_GUARDED_BY(mutex_) = 0;
  int bits_ ABSL_GUARDED_BY(mutex_) = 3072;
  bool padded_ ABSL_GUARDED_BY(mutex_) = false;
  std::map<std::string, int> versions_ ABSL_GUARDED_BY(mutex_);  // beyond the first
  std::function<void(const vault::KeyRef&)> on_unwrap_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace cmkstore::testing
