#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "cmkstore/v1/hub_service.pb.h"

namespace cmkstore::cli {

// https://HOST/keys/NAME[/VERSION], as the portal shows it, as the API's fields. Errors:
// FIELD_INVALID.
absl::StatusOr<v1::CustomerManagedKey> ParseVaultKey(const std::string& url);
// The key of a hub as one word: the URL, or "platform".
std::string KeyText(const v1::Encryption& encryption);

}  // namespace cmkstore::cli
