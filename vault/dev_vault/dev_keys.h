#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "crypto/rsa_key.h"

namespace cmkstore::dev_vault {

// An answer of the vault: status and JSON body, as Azure Key Vault gives them.
struct Answer {
  int status = 200;
  std::string body;
};

Answer ErrorAnswer(int status, absl::string_view code, absl::string_view message,
                   absl::string_view inner_code = "");

// The keys of one local vault: versions, attributes, soft delete; real RSA. What it answers to each
// operation follows the answer table of docs/vaults.md to the letter. Kept in one JSON file,
// written atomically and synced before a change is answered.
//
// Thread-safe.
class DevKeys {
 public:
  DevKeys(std::string state_file, std::string recovery_level, Clock& clock);

  // False if the state file exists and cannot be read.
  bool Load();

  // `url` is the vault's own, as it was called: https://host:port.
  Answer Create(const std::string& url, const std::string& name, const std::string& body);
  Answer Get(const std::string& url, const std::string& name, const std::string& version);
  Answer Update(const std::string& url, const std::string& name, const std::string& version,
                const std::string& body);
  Answer Rotate(const std::string& url, const std::string& name);
  Answer Delete(const std::string& url, const std::string& name);
  Answer Recover(const std::string& url, const std::string& name);
  Answer Purge(const std::string& name);
  Answer ListVersions(const std::string& url, const std::string& name);
  Answer Wrap(const std::string& url, const std::string& name, const std::string& version,
              const std::string& body);
  Answer Unwrap(const std::string& url, const std::string& name, const std::string& version,
                const std::string& body);

 private:
  struct Version {
    std::string id;
    std::shared_ptr<crypto::RsaPrivateKey> key;
    bool enabled = true;
    std::optional<int64_t> nbf, exp;
    std::vector<std::string> operations;
    int64_t created = 0;
    int64_t updated = 0;
  };
  struct Key {
    std::vector<Version> versions;  // the last one is the latest
    bool deleted = false;
  };

  Version* Find(const std::string& name, const std::string& version)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Answer AddVersion(const std::string& url, const std::string& name, int bits,
                    const std::vector<std::string>& operations)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  Answer Bundle(const std::string& url, const std::string& name, const Version& version) const;
  Answer Saved(Answer answer) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const std::string state_file_;
  const std::string recovery_level_;
  Clock& clock_;
  absl::Mutex mutex_;
  std::map<std::string, Key> keys_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace cmkstore::dev_vault
