#pragma once

#include <string>

#include "absl/strings/string_view.h"
#include "vault/key_vault.h"

namespace cmkstore::service {

// What to run, or to change, when a check of a vault key has failed: the `az` line for this key, in
// words for the tenant's key administrator. Pure.
class KeyCheckRemedies {
 public:
  // `client_id`: under which this server logs in to the vault; empty if it does not know it itself
  // (the system-assigned identity of a machine).
  KeyCheckRemedies(const vault::KeyRef& key, std::string client_id);

  // `cause`: what the vault refused with, or what kept it from answering; see CauseOf. An address
  // that was refused has the name of the field for its cause.
  std::string Of(absl::string_view check, absl::string_view cause = "") const;

 private:
  bool IsHsm() const;
  std::string VaultName() const;
  std::string Key() const;         // " --vault-name V --name K"
  std::string KeyVersion() const;  // the same, with " --version" of a pinned one
  std::string OfAddress(absl::string_view field) const;
  std::string OfNetwork(absl::string_view cause) const;
  std::string OfToken(absl::string_view cause) const;
  std::string OfCall(absl::string_view cause) const;
  std::string GrantRole(absl::string_view cause) const;
  std::string FindKey() const;
  std::string MakeKey() const;
  std::string ExtendValidity() const;
  std::string ProtectFromPurge() const;

  const vault::KeyRef& key_;
  const std::string client_id_;
};

}  // namespace cmkstore::service
