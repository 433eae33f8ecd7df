#include <gtest/gtest.h>
#include <openssl/err.h>
#include <sys/prctl.h>

#include <vector>

#include "crypto/jwt.h"
#include "crypto/key_wrap.h"
#include "crypto/provider.h"
#include "crypto/random.h"
#include "crypto/rsa_key.h"
#include "crypto/rsa_verify.h"
#include "tests/testing/matchers.h"

namespace cmkstore::crypto {
namespace {

using testing::FailsWith;
using testing::IsOk;

// One test, since a process has one reserved heap for good.
TEST(SecretMemoryTest, AFullHeapGivesOrdinaryMemoryAndCountsIt) {
  ReserveSecretMemory(3000);  // no power of two: OpenSSL would abort on it
  prctl(PR_SET_DUMPABLE, 1);  // a sanitizer's leak check needs to look at this process
  const SecretMemory before = SecretMemoryNow();
  std::vector<SecretBytes> secrets;
  for (int i = 0; i < 300; ++i) {
    SecretBytes& secret = secrets.emplace_back(size_t{32});
    ASSERT_EQ(secret.Reveal().size(), 32u);
    ASSERT_NE(secret.Reveal().data(), nullptr) << i;
    for (uint8_t byte : secret.Reveal()) ASSERT_EQ(byte, 0);
    for (uint8_t& byte : secret.MutableReveal()) byte = static_cast<uint8_t>(i);
  }
  EXPECT_EQ(ERR_peek_error(), 0u);
  const SecretMemory full = SecretMemoryNow();
  EXPECT_GT(full.reserved_used_bytes, before.reserved_used_bytes);
  EXPECT_GE(full.overflowed - before.overflowed, 300u - 4096 / 32);
  EXPECT_LE(full.unlocked, full.overflowed);
  for (int i = 0; i < 300; ++i) {
    const SecretBytes copy = secrets[static_cast<size_t>(i)].Clone();
    for (uint8_t byte : copy.Reveal()) ASSERT_EQ(byte, static_cast<uint8_t>(i));
  }
  secrets.clear();
  EXPECT_EQ(SecretMemoryNow().reserved_used_bytes, before.reserved_used_bytes);
}

// gRPC's TLS reads the queue of its thread after each call: what our refusals left there would end
// a caller's stream.
TEST(OpenSslErrorsTest, NoRefusalLeavesAnErrorInTheThreadsQueue) {
  SystemRandom random;
  const RsaPrivateKey key = *RsaPrivateKey::Generate(2048);
  const RsaPublicKey verifier = *RsaPublicKey::Create(key.ModulusBytes(), key.ExponentBytes());
  ERR_clear_error();
  EXPECT_THAT(verifier.VerifyRs256("message", std::string(256, 'x')),
              FailsWith("TOKEN_INVALID", ""));
  EXPECT_EQ(ERR_peek_error(), 0u);
  EXPECT_THAT(verifier.VerifyRs256("message", ""), FailsWith("TOKEN_INVALID", ""));
  EXPECT_EQ(ERR_peek_error(), 0u);
  EXPECT_THAT(key.OaepDecrypt("not a ciphertext"), FailsWith("DEK_RECORD_CORRUPT", ""));
  EXPECT_EQ(ERR_peek_error(), 0u);
  EXPECT_EQ(key.OaepEncrypt(std::string(500, 'x')), "");
  EXPECT_EQ(ERR_peek_error(), 0u);
  EXPECT_THAT(AesKeyUnwrap(random.Secret(32), std::string(40, 'x')),
              FailsWith("DEK_RECORD_CORRUPT", ""));
  EXPECT_EQ(ERR_peek_error(), 0u);
  EXPECT_FALSE(RsaPrivateKey::FromPem("no PEM").ok());
  EXPECT_EQ(ERR_peek_error(), 0u);
}

TEST(JwtTest, AcceptsOneTextOnlyForEachToken) {
  const RsaPrivateKey key = *RsaPrivateKey::Generate(2048);
  const std::string token = SignJwt(key, "k", "{}");
  ASSERT_THAT(ParseJwt(token), IsOk());
  // 256 bytes of signature leave four unused bits in the last character; the next letter differs in
  // them only.
  std::string other_bits = token;
  other_bits.back() = static_cast<char>(other_bits.back() + 1);
  const std::string refused[] = {token + "=",  token + "==", " " + token,
                                 token + "\n", other_bits,   token + "AAA",
                                 "a.b",        token + ".x", ""};
  for (const std::string& text : refused) {
    EXPECT_THAT(ParseJwt(text), FailsWith("TOKEN_INVALID", "")) << text;
  }
}

// Debian ships no FIPS provider; where one is, this is the wrong test to ask.
TEST(ProviderTest, RefusesWhatTheMachineDoesNotHave) {
  EXPECT_THAT(SelectProvider(""), IsOk());
  EXPECT_THAT(SelectProvider("fips=yes"), FailsWith("STATE_INVALID", "FIPS"));
  EXPECT_THAT(SelectProvider("provider=none-such"), FailsWith("STATE_INVALID", "AES-256-GCM"));
  EXPECT_THAT(SelectProvider("provider=default"), IsOk());
}

}  // namespace
}  // namespace cmkstore::crypto
