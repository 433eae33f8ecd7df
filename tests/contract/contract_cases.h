#pragma once

#include <string>
#include <vector>

#include "tests/contract/vault_under_test.h"

namespace cmkstore::contract {

// One line of the contract: what happens, what it must mean, what it did mean. Meanings are
// outcomes of vault/vault_errors.h, a refusal with its cause: "healthy", "denied/KeyDisabled".
struct CaseResult {
  std::string name;
  std::string situation;
  std::string expected;
  std::string observed = {};  // "" = does not apply to this vault
  std::string detail = {};    // of kNotSetUp: what went wrong, in the vault's words
  int late_looks = 0;         // how often a change had not been seen yet
};
// Observed where a case could not be set up. A profile may expect it.
inline constexpr char kNotSetUp[] = "not set up";

// Runs every case once, each on one key of its own whose name begins with `prefix`. Blocking.
std::vector<CaseResult> RunContract(VaultUnderTest& under_test, const std::string& prefix);

}  // namespace cmkstore::contract
