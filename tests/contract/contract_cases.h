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
  std::string observed;  // "" = does not apply to this vault
};

// Runs every case, each on keys of its own whose names begin with `prefix`. Blocking.
std::vector<CaseResult> RunContract(VaultUnderTest& under_test, const std::string& prefix);

}  // namespace cmkstore::contract
