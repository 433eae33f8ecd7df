#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "crypto/jwt.h"
#include "service/jwks_cache.h"
#include "tests/testing/matchers.h"

namespace cmkstore::service {
namespace {

using testing::FailsWith;
using testing::IsOk;

class KeySetTest : public ::testing::Test {
 protected:
  absl::Status Read(const std::string& jwks) { return ParseJwks(jwks).status(); }
  // The set of one good key, with one piece of its text replaced.
  std::string With(absl::string_view piece, absl::string_view by) {
    const std::string changed = absl::StrReplaceAll(good_, {{piece, by}});
    EXPECT_NE(changed, good_) << piece;
    return changed;
  }

  const std::string good_ = crypto::JwksOf(*crypto::RsaPrivateKey::Generate(2048), "k");
};

TEST_F(KeySetTest, TakesRsaKeysForSignaturesOnly) {
  EXPECT_THAT(Read(good_), IsOk());
  EXPECT_THAT(Read(With(R"("use":"sig",)", "")), IsOk());
  EXPECT_THAT(Read(With(R"("alg":"RS256",)", "")), IsOk());
  EXPECT_THAT(Read(With(R"("use":"sig")", R"("key_ops":["verify"])")), IsOk());
  const std::string refused[] = {
      With(R"("use":"sig")", R"("use":"enc")"),
      With(R"("use":"sig")", R"("use":1)"),
      With(R"("alg":"RS256")", R"("alg":"PS256")"),
      With(R"("use":"sig")", R"("key_ops":["encrypt"])"),
      With(R"("use":"sig")", R"("key_ops":"verify")"),
      With(R"("kty":"RSA")", R"("kty":"oct")"),
      With(R"("e":"AQAB")", R"("e":"AQAB=")"),
      With(R"("e":"AQAB")", R"("e":"AQ")"),
      With(R"("n":")", R"("n":" )"),
      With(R"("use":"sig")", R"("issuer":["https://login.example"])"),
      With(R"("use":"sig")", R"("issuer":"")"),
      R"({"keys":[{"kty":"RSA","n":"","e":""}]})",
      R"({"keys":{}})",
      "[]",
      "{",
      "",
  };
  for (const std::string& jwks : refused) {
    EXPECT_THAT(Read(jwks), FailsWith("FIELD_INVALID", "RSA key")) << jwks;
  }
}

}  // namespace
}  // namespace cmkstore::service
