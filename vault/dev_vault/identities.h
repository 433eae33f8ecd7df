#pragma once

#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace cmkstore::dev_vault {

// One identity of the directory, and the credentials that prove it. docs/devvault.md explains the
// fields.
struct Identity {
  struct Federated {
    std::string issuer;
    std::string subject;
    std::string audience = "api://AzureADTokenExchange";
    std::string jwks;       // JSON text; empty: the cluster that the vault plays itself
    std::string jwks_file;  // read again for each token, instead of jwks
  };
  std::string client_id;
  std::string object_id;
  std::string secret;       // empty: none
  std::string certificate;  // PEM; empty: none
  std::vector<Federated> federated;
  std::string managed;  // "system", "user" or empty
  std::string resource_id;
  std::vector<std::string> roles;     // of its tokens
  std::set<std::string> directories;  // where it is known beside its own: az ad sp create
};

nlohmann::json ToJson(const Identity& identity, bool with_secret);

// The identities of the directory, kept on disk. Thread-safe.
class Identities {
 public:
  explicit Identities(std::string state_file) : state_file_(std::move(state_file)) {}
  // False if the state file exists and cannot be read.
  bool Load();

  std::optional<Identity> Find(const std::string& client_id) const;
  // Of the machine that asks IMDS: by whichever of the three is not empty, else the system-assigned
  // one.
  std::optional<Identity> FindManaged(const std::string& client_id, const std::string& object_id,
                                      const std::string& resource_id) const;
  std::vector<Identity> List() const;
  // Makes or changes one by the fields that `change` names. Says what is wrong, or nothing; durable
  // when it returns. Throws what nlohmann::json throws.
  std::string Change(const std::string& client_id, const nlohmann::json& change);
  bool Remove(const std::string& client_id);

 private:
  bool Save(const std::map<std::string, Identity>& identities) const;

  const std::string state_file_;
  mutable absl::Mutex mutex_;
  std::map<std::string, Identity> identities_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace cmkstore::dev_vault
