// Project Wycheproof's files, when they are there: ../shared/vectors beside the repository, or
// CMKSTORE_SHARED.

#include <gtest/gtest.h>
#include <openssl/evp.h>

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "absl/strings/escaping.h"
#include "base/base64url.h"
#include "crypto/cmac_kdf.h"
#include "crypto/jwt.h"
#include "crypto/rsa_key.h"
#include "crypto/rsa_verify.h"

namespace cmkstore::crypto {
namespace {

std::optional<nlohmann::json> Load(const std::string& name) {
  const char* shared = std::getenv("CMKSTORE_SHARED");
  const std::string root = shared != nullptr ? shared : "../shared";
  std::ifstream file(root + "/vectors/wycheproof/" + name);
  if (!file) return std::nullopt;
  return nlohmann::json::parse(file);
}

std::string Bytes(const nlohmann::json& hex) {
  return absl::HexStringToBytes(hex.get<std::string>());
}

TEST(WycheproofTest, AesCmacAgrees) {
  const auto file = Load("aes_cmac_test.json");
  if (!file.has_value()) GTEST_SKIP() << "no vectors here";
  int run = 0;
  for (const auto& group : (*file)["testGroups"]) {
    if (group["keySize"] != 256 || group["tagSize"] != 128) continue;
    for (const auto& test : group["tests"]) {
      const std::string key = Bytes(test["key"]);
      const std::string mac =
          AesCmac({reinterpret_cast<const uint8_t*>(key.data()), key.size()}, Bytes(test["msg"]));
      EXPECT_EQ(mac == Bytes(test["tag"]), test["result"] == "valid") << test["tcId"];
      ++run;
    }
  }
  EXPECT_GT(run, 50);
}

// The GCM below XAES is OpenSSL's: this says that the installed one is sound.
TEST(WycheproofTest, AesGcmAgrees) {
  const auto file = Load("aes_gcm_test.json");
  if (!file.has_value()) GTEST_SKIP() << "no vectors here";
  int run = 0;
  EVP_CIPHER_CTX* context = EVP_CIPHER_CTX_new();
  const auto data = [](const std::string& text) {
    return reinterpret_cast<const unsigned char*>(text.data());
  };
  for (const auto& group : (*file)["testGroups"]) {
    if (group["keySize"] != 256 || group["ivSize"] != 96 || group["tagSize"] != 128) continue;
    for (const auto& test : group["tests"]) {
      const std::string key = Bytes(test["key"]), iv = Bytes(test["iv"]), aad = Bytes(test["aad"]),
                        sealed = Bytes(test["ct"]), message = Bytes(test["msg"]);
      std::string tag = Bytes(test["tag"]), opened(sealed.size() + 16, '\0');
      int size = 0;
      EVP_DecryptInit_ex(context, EVP_aes_256_gcm(), nullptr, data(key), data(iv));
      EVP_DecryptUpdate(context, nullptr, &size, data(aad), static_cast<int>(aad.size()));
      EVP_DecryptUpdate(context, reinterpret_cast<unsigned char*>(opened.data()), &size,
                        data(sealed), static_cast<int>(sealed.size()));
      EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, 16, tag.data());
      unsigned char none = 0;
      const bool ok = EVP_DecryptFinal_ex(context, &none, &size) == 1;
      opened.resize(sealed.size());
      EXPECT_EQ(ok && opened == message, test["result"] == "valid") << test["tcId"];
      ++run;
    }
  }
  EVP_CIPHER_CTX_free(context);
  EXPECT_GT(run, 50);
}

// What the server does with a token before it looks at its claims: one algorithm, whatever the
// token asks for.
bool Verifies(const std::string& token, const nlohmann::json& jwk) {
  const auto jwt = ParseJwt(token);
  const bool for_signatures =
      jwk.value("alg", "RS256") == "RS256" && jwk.value("use", "sig") == "sig" &&
      (!jwk.contains("key_ops") || jwk["key_ops"] == nlohmann::json::array({"verify"}));
  if (!jwt.ok() || jwk.value("kty", "") != "RSA" || !for_signatures) return false;
  const nlohmann::json header = nlohmann::json::parse(jwt->header, nullptr, false);
  if (!header.is_object() || header.value("alg", "") != "RS256" || header.contains("crit")) {
    return false;
  }
  const auto key = RsaPublicKey::Create(DecodeBase64Url(jwk.value("n", "")).value_or(""),
                                        DecodeBase64Url(jwk.value("e", "")).value_or(""));
  return key.ok() && key->VerifyRs256(jwt->signing_input, jwt->signature).ok();
}

TEST(WycheproofTest, JsonWebSignaturesOfRs256VerifyAndNoOthers) {
  const auto file = Load("json_web_signature_test.json");
  if (!file.has_value()) GTEST_SKIP() << "no vectors here";
  int accepted = 0, run = 0;
  for (const auto& group : (*file)["testGroups"]) {
    const auto& jwk = group.contains("public") ? group["public"] : group["private"];
    for (const auto& test : group["tests"]) {
      const bool expected = test["result"] == "valid" && jwk.value("alg", "") == "RS256";
      EXPECT_EQ(Verifies(test["jws"], jwk), expected) << test["tcId"];
      accepted += expected;
      ++run;
    }
  }
  EXPECT_GE(accepted, 8);
  EXPECT_GT(run, 400);
}

TEST(WycheproofTest, RsaOaepAgrees) {
  for (const char* name :
       {"rsa_oaep_2048_sha256_mgf1sha256_test.json", "rsa_oaep_3072_sha256_mgf1sha256_test.json"}) {
    const auto file = Load(name);
    if (!file.has_value()) GTEST_SKIP() << "no vectors here";
    int run = 0;
    for (const auto& group : (*file)["testGroups"]) {
      const auto key = RsaPrivateKey::FromPem(group["privateKeyPem"]);
      ASSERT_TRUE(key.ok());
      for (const auto& test : group["tests"]) {
        if (test["label"] != "") continue;  // wrapkey has none
        const auto opened = key->OaepDecrypt(Bytes(test["ct"]));
        EXPECT_EQ(opened.ok() && *opened == Bytes(test["msg"]), test["result"] == "valid")
            << name << " " << test["tcId"];
        ++run;
      }
    }
    EXPECT_GT(run, 20) << name;
  }
}

}  // namespace
}  // namespace cmkstore::crypto
