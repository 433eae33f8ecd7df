#pragma once

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "vault/dev_vault/answer.h"
#include "vault/dev_vault/key_record.h"

namespace cmkstore::dev_vault {

// What Azure Key Vault asks of a key before it works with it. The columns differ in ways that
// matter to a customer who withdraws a key: a disabled key still wraps, an expired one still
// unwraps.
struct KeyOperation {
  absl::string_view path;  // last segment of the URL
  absl::string_view name;  // as in key_ops and as a permission
  bool needs_enabled;
  bool needs_valid_dates;
};

const std::vector<KeyOperation>& KeyOperations();
// Nothing of `path`: null.
const KeyOperation* FindKeyOperation(absl::string_view path);
// key_ops of a key that was created without any.
std::vector<std::string> DefaultOperations(const KeyMaterial& material);

// The answer to {"alg","value"[,"digest"]}. `kid` names the version, `now` is in Unix seconds.
Answer Operate(const KeyOperation& operation, const KeyVersion& version, const std::string& kid,
               const std::string& body, int64_t now);

}  // namespace cmkstore::dev_vault
