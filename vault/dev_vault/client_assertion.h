#pragma once

#include <string>

#include "absl/time/time.h"
#include "vault/dev_vault/identities.h"
#include "vault/dev_vault/token_issuer.h"

namespace cmkstore::dev_vault {

// Whether a client assertion proves to be `identity`: signed with its registered certificate (RFC
// 7523, with x5t or x5t#S256), or by an issuer that it trusts for a subject and an audience
// (workload identity federation).
//
// `now` is the machine's time: assertions are made by a client or a cluster, which know nothing of
// the settable clock. Says what is wrong as Entra ID does ("AADSTS700027: …"), or nothing.
std::string CheckAssertion(const std::string& assertion, const Identity& identity,
                           const TokenIssuer& issuer, const std::string& directory, absl::Time now);

}  // namespace cmkstore::dev_vault
