#include "crypto/jwt.h"

#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/errors.h"

namespace cmkstore::crypto {

absl::StatusOr<Jwt> ParseJwt(absl::string_view token) {
  if (token.size() > kMaxJwtBytes) return TokenInvalid("it is longer than 8 KiB");
  const std::vector<absl::string_view> parts = absl::StrSplit(token, '.');
  Jwt jwt;
  if (parts.size() != 3 || !absl::WebSafeBase64Unescape(parts[0], &jwt.header) ||
      !absl::WebSafeBase64Unescape(parts[1], &jwt.claims) ||
      !absl::WebSafeBase64Unescape(parts[2], &jwt.signature)) {
    return TokenInvalid("it is no JSON Web Token");
  }
  jwt.signing_input = std::string(token.substr(0, parts[0].size() + 1 + parts[1].size()));
  return jwt;
}

std::string SignJwt(const RsaPrivateKey& key, absl::string_view key_id, absl::string_view claims) {
  const std::string input = absl::StrCat(
      absl::WebSafeBase64Escape(
          absl::StrCat(R"({"alg":"RS256","typ":"JWT","kid":")", key_id, R"("})")),
      ".", absl::WebSafeBase64Escape(claims));
  return absl::StrCat(input, ".", absl::WebSafeBase64Escape(key.SignRs256(input)));
}

std::string JwksOf(const RsaPrivateKey& key, absl::string_view key_id) {
  return absl::StrCat(R"({"keys":[{"kty":"RSA","use":"sig","alg":"RS256","kid":")", key_id,
                      R"(","n":")", absl::WebSafeBase64Escape(key.ModulusBytes()), R"(","e":")",
                      absl::WebSafeBase64Escape(key.ExponentBytes()), R"("}]})");
}

}  // namespace cmkstore::crypto
