#include "crypto/jwt.h"

#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/base64url.h"
#include "base/errors.h"

namespace cmkstore::crypto {
namespace {

bool DecodeInto(absl::string_view text, std::string& out) {
  std::optional<std::string> bytes = DecodeBase64Url(text);
  if (!bytes.has_value()) return false;
  out = *std::move(bytes);
  return true;
}

}  // namespace

absl::StatusOr<Jwt> ParseJwt(absl::string_view token) {
  if (token.size() > kMaxJwtBytes) return TokenInvalid("it is longer than 8 KiB");
  const std::vector<absl::string_view> parts = absl::StrSplit(token, '.');
  Jwt jwt;
  if (parts.size() != 3 || !DecodeInto(parts[0], jwt.header) || !DecodeInto(parts[1], jwt.claims) ||
      !DecodeInto(parts[2], jwt.signature)) {
    return TokenInvalid("it is no JSON Web Token");
  }
  jwt.signing_input = std::string(token.substr(0, parts[0].size() + 1 + parts[1].size()));
  return jwt;
}

std::string SignJwt(const RsaPrivateKey& key, absl::string_view key_id, absl::string_view claims) {
  return SignJwtWithHeader(
      key, absl::StrCat(R"({"alg":"RS256","typ":"JWT","kid":")", key_id, R"("})"), claims);
}

std::string SignJwtWithHeader(const RsaPrivateKey& key, absl::string_view header,
                              absl::string_view claims) {
  const std::string input = absl::StrCat(EncodeBase64Url(header), ".", EncodeBase64Url(claims));
  return absl::StrCat(input, ".", EncodeBase64Url(key.SignRs256(input)));
}

std::string JwksOf(const RsaPrivateKey& key, absl::string_view key_id) {
  return absl::StrCat(R"({"keys":[{"kty":"RSA","use":"sig","alg":"RS256","kid":")", key_id,
                      R"(","n":")", EncodeBase64Url(key.ModulusBytes()), R"(","e":")",
                      EncodeBase64Url(key.ExponentBytes()), R"("}]})");
}

}  // namespace cmkstore::crypto
