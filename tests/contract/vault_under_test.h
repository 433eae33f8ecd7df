#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "vault/key_vault.h"

namespace cmkstore::contract {

struct KeyKind {
  bool symmetric = false;  // AES, where the vault has such; else RSA
  int bits = 2048;
};

// Changes to a key that its owner makes; what is not set stays as it is.
struct KeyChange {
  std::optional<bool> enabled;
  std::optional<absl::Time> not_before;
  std::optional<absl::Time> expires;
  std::optional<std::vector<std::string>> operations;
};

// A vault as the contract sees it: through KeyVault, and through its owner's hands. What a kind of
// vault has not is UNIMPLEMENTED, and the cases that need it do not apply to it.
class VaultUnderTest {
 public:
  virtual ~VaultUnderTest() = default;
  virtual vault::KeyVault& vault() = 0;
  virtual std::string uri() const = 0;
  // How long a change may take to be seen.
  virtual absl::Duration settle_time() const { return absl::ZeroDuration(); }

  // How long a call may take.
  virtual absl::Duration call_time() const { return absl::Seconds(20); }

  // A new key, or a new version of one that is there.
  virtual absl::Status MakeKey(const std::string& name, const KeyKind& kind) = 0;
  virtual absl::Status Change(const std::string& name, const KeyChange& change) = 0;
  virtual absl::Status Delete(const std::string& name) = 0;
  virtual absl::Status Recover(const std::string& name) = 0;
  // The HTTP status of a get without a token, and whether a bearer challenge came with it.
  virtual absl::StatusOr<std::string> AskWithoutToken(const std::string& name) = 0;
  // What the client makes of a token that the vault does not know. The key is there.
  virtual absl::Status DescribeWithBadToken(const std::string& name) = 0;
};

}  // namespace cmkstore::contract
