#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace cmkstore::cli {

// What a bearer token says of its holder, for display and for defaults. Nothing is verified here;
// the server does.
struct TokenClaims {
  std::string tenant;   // tid
  std::string subject;  // oid, else sub
  std::vector<std::string> roles;
  absl::Time expires = absl::InfiniteFuture();
};

// Nothing if `token` is no JWT.
std::optional<TokenClaims> ReadClaims(absl::string_view token);

}  // namespace cmkstore::cli
