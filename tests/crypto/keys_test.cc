#include <gtest/gtest.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <pty.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <type_traits>

#include "absl/strings/escaping.h"
#include "crypto/blind_name.h"
#include "crypto/dek.h"
#include "crypto/digest.h"
#include "crypto/hub_secrets.h"
#include "crypto/openssl_owned.h"
#include "crypto/rsa_key.h"
#include "tests/testing/matchers.h"

namespace cmkstore::crypto {
namespace {

using testing::FailsWith;
using testing::IsOk;

static_assert(!std::is_copy_constructible_v<SecretBytes>);
static_assert(!std::is_convertible_v<SecretBytes, std::string>);
static_assert(!std::is_constructible_v<SealKey, OpenKey>);
static_assert(!std::is_convertible_v<HubUid, ProjectUid>);

class DekTest : public ::testing::Test {
 protected:
  SystemRandom random_;
  Dek dek_ = *Dek::FromSecret(random_.NewUid<DekId>(), random_.Secret(kDekBytes));
  DekFacts facts_{"contoso",      random_.NewUid<HubUid>(), dek_.dek_id(), 1, "https://v/keys/k/1",
                  "RSA-OAEP-256", 1'700'000'000'000'000};
};

TEST_F(DekTest, CheckAcceptsItsOwnFactsOnly) {
  const std::string check = dek_.Check(facts_);
  EXPECT_THAT(dek_.VerifyCheck(facts_, check), IsOk());
  std::vector<DekFacts> swapped(7, facts_);
  swapped[0].tenant = "fabrikam";
  swapped[1].hub = random_.NewUid<HubUid>();
  swapped[2].dek_id = random_.NewUid<DekId>();
  swapped[3].generation = 2;
  swapped[4].kek_id = "https://v/keys/k/2";
  swapped[5].algorithm = "A256KW";
  swapped[6].created_unix_micros += 1;
  for (const DekFacts& facts : swapped) {
    EXPECT_THAT(dek_.VerifyCheck(facts, check), FailsWith("DEK_RECORD_CORRUPT", ""));
  }
  EXPECT_THAT(dek_.VerifyCheck(facts_, ""), FailsWith("DEK_RECORD_CORRUPT", ""));
}

TEST_F(DekTest, RefusesAKeyOfAnotherSize) {
  EXPECT_THAT(Dek::FromSecret(random_.NewUid<DekId>(), random_.Secret(16)),
              FailsWith("DEK_RECORD_CORRUPT", "32 bytes"));
}

TEST_F(DekTest, HubSecretsOpenForTheirHubOnly) {
  const HubSecrets secrets = HubSecrets::Generate(random_);
  const SealedDocument sealed =
      *SealHubSecrets(*dek_.MakeSealKey(), "contoso", facts_.hub, secrets, random_);
  const auto opened = OpenHubSecrets(*dek_.MakeOpenKey(), "contoso", facts_.hub, sealed);
  ASSERT_THAT(opened, IsOk());
  EXPECT_TRUE(opened->name_key.EqualsInConstantTime(secrets.name_key.Reveal()));
  EXPECT_TRUE(opened->index_key.EqualsInConstantTime(secrets.index_key.Reveal()));
  EXPECT_THAT(OpenHubSecrets(*dek_.MakeOpenKey(), "fabrikam", facts_.hub, sealed),
              FailsWith("DOCUMENT_CORRUPT", ""));
}

TEST_F(DekTest, BlindNamesDependOnEveryPartAndItsLength) {
  const NameKey names = *NameKey::FromSecret(random_.Secret(32));
  const ProjectUid project = random_.NewUid<ProjectUid>();
  const BlindName name = names.Document(project, "ab", "c");
  EXPECT_EQ(name, names.Document(project, "ab", "c"));
  const auto [collection, document] = names.Names(project, "ab", "c");
  EXPECT_EQ(collection, names.Collection(project, "ab"));
  EXPECT_EQ(document, name);
  EXPECT_NE(name, names.Document(project, "a", "bc"));
  EXPECT_NE(name, names.Document(random_.NewUid<ProjectUid>(), "ab", "c"));
  EXPECT_NE(names.Collection(project, "ab"), names.Request("ab"));
  EXPECT_NE(name, NameKey::FromSecret(random_.Secret(32))->Document(project, "ab", "c"));
}

TEST(DigestTest, GivesThePublishedAnswers) {
  EXPECT_EQ(absl::BytesToHexString(Sha256("abc")),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  const std::string key = "Jefe";  // RFC 4231, case 2
  EXPECT_EQ(
      absl::BytesToHexString(HmacSha256({reinterpret_cast<const uint8_t*>(key.data()), key.size()},
                                        "what do ya want for nothing?")),
      "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

TEST(DigestTest, ASessionLeavesNothingToTheNext) {
  const std::vector<uint8_t> one(32, 1), other(32, 2);
  const std::string expected = HmacSha256(one, "message");
  {
    HmacSha256Session session(one);
    for (int i = 0; i < 2; ++i) {
      const auto mac = session.Mac("message");
      EXPECT_EQ(std::string(mac.begin(), mac.end()), expected);
    }
  }
  EXPECT_NE(HmacSha256(other, "message"), expected);
}

// At a terminal OpenSSL would ask for the password, and wait.
TEST(RsaKeyTest, AnEncryptedKeyIsRefusedAlsoWhereThereIsATerminal) {
  const Owned<EVP_PKEY> key(EVP_RSA_gen(2048));
  const Owned<BIO> bio(BIO_new(BIO_s_mem()));
  ASSERT_EQ(PEM_write_bio_PKCS8PrivateKey(bio.get(), key.get(), EVP_aes_256_cbc(), "word", 4,
                                          nullptr, nullptr),
            1);
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  const std::string pem(data, static_cast<size_t>(size));
  int terminal = -1;
  const pid_t child = forkpty(&terminal, nullptr, nullptr, nullptr);
  ASSERT_GE(child, 0);
  if (child == 0) _exit(RsaPrivateKey::FromPem(pem).ok() ? 1 : 0);
  int status = 0;
  for (int i = 0; i < 2000 && waitpid(child, &status, WNOHANG) == 0; ++i) usleep(10'000);
  EXPECT_TRUE(WIFEXITED(status)) << "it waits for a password";
  EXPECT_EQ(WEXITSTATUS(status), 0);
  kill(child, SIGKILL);
  close(terminal);
}

}  // namespace
}  // namespace cmkstore::crypto
