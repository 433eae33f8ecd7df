#include "crypto/xaes.h"

#include <gtest/gtest.h>
#include <openssl/evp.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "tests/testing/matchers.h"

namespace cmkstore::crypto {
namespace {

using testing::IsOk;

// A SHAKE128 stream: absorbs, then squeezes any number of bytes.
class Shake {
 public:
  Shake() : context_(EVP_MD_CTX_new()) { EVP_DigestInit_ex(context_, EVP_shake128(), nullptr); }
  ~Shake() { EVP_MD_CTX_free(context_); }
  void Absorb(const std::vector<uint8_t>& bytes) {
    EVP_DigestUpdate(context_, bytes.data(), bytes.size());
  }
  std::vector<uint8_t> Squeeze(size_t size) {
    std::vector<uint8_t> out(size);
    EVP_DigestFinalXOF(context_, out.data(), out.size());
    return out;
  }

 private:
  EVP_MD_CTX* context_;
};

std::string Hex(std::span<const uint8_t> bytes) {
  return absl::BytesToHexString(
      absl::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
}

SecretBytes Key(uint8_t byte) { return SecretBytes(std::vector<uint8_t>(kXaesKeyBytes, byte)); }

XaesNonce TestNonce() {
  XaesNonce nonce;
  for (size_t i = 0; i < nonce.size(); ++i) nonce[i] = static_cast<uint8_t>('A' + i);
  return nonce;
}

std::vector<uint8_t> Text(absl::string_view text) { return {text.begin(), text.end()}; }

struct Vector {
  uint8_t key_byte;
  const char* associated_data;
  const char* sealed;
  const char* commitment;
};

// The published answers of the C2SP specification, and of the commitment (three implementations
// agree).
constexpr Vector kVectors[] = {
    {1, "", "ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271",
     "04076b6085eebab138855fe57811c04112eff989d44120dfff662d5475a383c3"},
    {3, "c2sp.org/XAES-256-GCM", "986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d",
     "5553cd21d1592b422e3129632a3187eee8a658cdca5c5b32ce86308dcc18e9d1"},
};

TEST(XaesTest, GivesThePublishedAnswers) {
  for (const Vector& vector : kVectors) {
    auto key = XaesKey::Create(Key(vector.key_byte));
    ASSERT_THAT(key, IsOk());
    const std::vector<uint8_t> plaintext = Text("XAES-256-GCM");
    const std::vector<uint8_t> data = Text(vector.associated_data);
    std::vector<uint8_t> sealed(plaintext.size() + kXaesTagBytes);
    (*key)->Seal(TestNonce(), plaintext, data, sealed);
    EXPECT_EQ(Hex(sealed), vector.sealed);
    EXPECT_EQ(Hex((*key)->Commit(TestNonce())), vector.commitment);

    std::vector<uint8_t> opened(plaintext.size());
    EXPECT_THAT((*key)->Open(TestNonce(), sealed, data, opened), IsOk());
    EXPECT_EQ(opened, plaintext);
  }
}

// 10,000 iterations in the normal run; the ctest label "slow" sets CMKSTORE_SLOW and runs the
// published million.
TEST(XaesTest, AccumulatedHashOfRandomInputsIsThePublishedOne) {
  const bool slow = std::getenv("CMKSTORE_SLOW") != nullptr;
  const int iterations = slow ? 1'000'000 : 10'000;
  // EVP's SHAKE cannot be squeezed twice in OpenSSL 3.0, so the stream is drawn at once.
  Shake source;
  const std::vector<uint8_t> stream =
      source.Squeeze(static_cast<size_t>(iterations) * (32 + 24 + 2 + 2 * 255));
  size_t at = 0;
  const auto draw = [&stream, &at](size_t size) {
    std::vector<uint8_t> out(stream.begin() + static_cast<long>(at),
                             stream.begin() + static_cast<long>(at + size));
    at += size;
    return out;
  };
  Shake accumulated;
  for (int i = 0; i < iterations; ++i) {
    const std::vector<uint8_t> key_bytes = draw(kXaesKeyBytes);
    const std::vector<uint8_t> nonce_bytes = draw(kXaesNonceBytes);
    const std::vector<uint8_t> plaintext = draw(draw(1)[0]);
    const std::vector<uint8_t> data = draw(draw(1)[0]);
    XaesNonce nonce;
    std::copy(nonce_bytes.begin(), nonce_bytes.end(), nonce.begin());
    auto key = XaesKey::Create(SecretBytes(key_bytes));
    ASSERT_THAT(key, IsOk());
    std::vector<uint8_t> sealed(plaintext.size() + kXaesTagBytes);
    (*key)->Seal(nonce, plaintext, data, sealed);
    accumulated.Absorb(sealed);
  }
  EXPECT_EQ(Hex(accumulated.Squeeze(32)),
            slow ? "2163ae1445985a30b60585ee67daa55674df06901b890593e824b8a7c885ab15"
                 : "e6b9edf2df6cec60c8cbd864e2211b597fb69a529160cd040d56c0c210081939");
}

TEST(XaesTest, OpensInPlaceAndRefusesEveryFlippedBit) {
  auto key = XaesKey::Create(Key(7));
  ASSERT_THAT(key, IsOk());
  const std::vector<uint8_t> plaintext = Text("a small document");
  std::vector<uint8_t> sealed(plaintext.size() + kXaesTagBytes);
  std::copy(plaintext.begin(), plaintext.end(), sealed.begin());
  (*key)->Seal(TestNonce(), std::span(sealed).first(plaintext.size()), {}, sealed);
  std::vector<uint8_t> opened(plaintext.size());
  for (size_t bit = 0; bit < sealed.size() * 8; ++bit) {
    std::vector<uint8_t> damaged = sealed;
    damaged[bit / 8] ^= static_cast<uint8_t>(1u << bit % 8);
    EXPECT_FALSE((*key)->Open(TestNonce(), damaged, {}, opened).ok()) << bit;
    EXPECT_EQ(opened, std::vector<uint8_t>(plaintext.size(), 0)) << "released at bit " << bit;
  }
}

TEST(XaesTest, RefusesAKeyOfAnotherSize) { EXPECT_FALSE(XaesKey::Create(SecretBytes(16)).ok()); }

}  // namespace
}  // namespace cmkstore::crypto
