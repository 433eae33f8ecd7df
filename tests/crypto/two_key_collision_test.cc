// One ciphertext that opens under two keys. GCM allows it: whoever knows both keys solves one
// linear equation for one block. The commitment of the envelope is what refuses it.

#include <gtest/gtest.h>
#include <openssl/evp.h>

#include <functional>
#include <string>

#include "crypto/envelope.h"
#include "tests/crypto/raw_envelope.h"
#include "tests/testing/matchers.h"

namespace cmkstore::crypto {
namespace {

using ::cmkstore::testing::FailsWith;
using ::cmkstore::testing::IsOk;
using testing::AsBytes;
using testing::AsText;

using Block = std::array<uint8_t, 16>;

Block operator^(Block a, const Block& b) {
  for (size_t i = 0; i < a.size(); ++i) a[i] ^= b[i];
  return a;
}

// GF(2^128) of GCM (SP 800-38D 6.3): bit 0 is the most significant bit of byte 0.
Block Multiply(const Block& x, Block v) {
  Block z{};
  for (size_t bit = 0; bit < 128; ++bit) {
    if (x[bit / 8] >> (7 - bit % 8) & 1) z = z ^ v;
    const bool carry = v[15] & 1;
    for (size_t i = 15; i > 0; --i) v[i] = static_cast<uint8_t>(v[i] >> 1 | v[i - 1] << 7);
    v[0] >>= 1;
    if (carry) v[0] ^= 0xe1;
  }
  return z;
}

// x^(2^128 - 2).
Block Inverse(const Block& x) {
  Block result{0x80};
  Block power = x;
  for (int i = 1; i < 128; ++i) {
    power = Multiply(power, power);
    result = Multiply(result, power);
  }
  return result;
}

Block Lengths(size_t data_bytes, size_t text_bytes) {
  Block lengths{};
  for (size_t i = 0; i < 8; ++i) {
    lengths[7 - i] = static_cast<uint8_t>(data_bytes * 8 >> 8 * i);
    lengths[15 - i] = static_cast<uint8_t>(text_bytes * 8 >> 8 * i);
  }
  return lengths;
}

// Seals under a fixed key and nonce: (associated data, plaintext) -> ciphertext and tag.
using Sealer = std::function<std::string(absl::string_view, absl::string_view)>;

Block TagOf(const std::string& sealed) {
  Block tag;
  std::copy(sealed.end() - 16, sealed.end(), tag.begin());
  return tag;
}

// What the tag of a one-block ciphertext C is: base ⊕ C · H².
struct Equation {
  Block square;
  Block base;
};

Equation EquationOf(const Sealer& seal, absl::string_view data) {
  const Block mask = TagOf(seal("", ""));  // E(J0): the hash of nothing is zero
  // One zero block of associated data hashes to its length times H.
  const Block h = Multiply(TagOf(seal(std::string(16, '\0'), "")) ^ mask, Inverse(Lengths(16, 0)));
  Block hash{};
  for (size_t at = 0; at < data.size(); at += 16) {
    Block block{};
    const absl::string_view part = data.substr(at, 16);
    std::copy(part.begin(), part.end(), block.begin());
    hash = Multiply(hash ^ block, h);
  }
  hash = Multiply(hash, h);  // C = 0
  hash = Multiply(hash ^ Lengths(data.size(), 16), h);
  return {Multiply(h, h), hash ^ mask};
}

// A block and tag that both sealers would have made, each from a plaintext of its own.
std::string Collide(const Sealer& one, const Sealer& two, absl::string_view data) {
  const Equation a = EquationOf(one, data), b = EquationOf(two, data);
  const Block block = Multiply(a.base ^ b.base, Inverse(a.square ^ b.square));
  return AsText(block) + AsText(a.base ^ Multiply(block, a.square));
}

std::string PlainGcm(const std::string& key, bool encrypt, absl::string_view data, std::string text,
                     std::string* tag) {
  EVP_CIPHER_CTX* context = EVP_CIPHER_CTX_new();
  const unsigned char nonce[12] = {7};
  int size = 0;
  EVP_CipherInit_ex(context, EVP_aes_256_gcm(), nullptr, AsBytes(key).data(), nonce, encrypt);
  EVP_CipherUpdate(context, nullptr, &size, AsBytes(data).data(), static_cast<int>(data.size()));
  std::string out(text.size(), '\0');
  auto* bytes = reinterpret_cast<unsigned char*>(out.data());
  EVP_CipherUpdate(context, bytes, &size, AsBytes(text).data(), static_cast<int>(text.size()));
  if (!encrypt) EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, 16, tag->data());
  unsigned char none = 0;
  const bool ok = EVP_CipherFinal_ex(context, &none, &size) == 1;
  if (encrypt) EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, 16, tag->data());
  EVP_CIPHER_CTX_free(context);
  return ok ? out : "refused";
}

TEST(TwoKeyCollisionTest, PlainGcmAcceptsOneCiphertextUnderTwoKeys) {
  const std::string keys[] = {std::string(32, 'a'), std::string(32, 'b')};
  const auto sealer = [](const std::string& key) {
    return [key](absl::string_view data, absl::string_view text) {
      std::string tag(16, '\0');
      std::string sealed = PlainGcm(key, true, data, std::string(text), &tag);
      return sealed + tag;
    };
  };
  const std::string sealed = Collide(sealer(keys[0]), sealer(keys[1]), "bound");
  std::string tag = sealed.substr(16);
  const std::string first = PlainGcm(keys[0], false, "bound", sealed.substr(0, 16), &tag);
  const std::string second = PlainGcm(keys[1], false, "bound", sealed.substr(0, 16), &tag);
  EXPECT_EQ(first.size(), 16u);
  EXPECT_EQ(second.size(), 16u);
  EXPECT_NE(first, second);
  tag[0] ^= 1;
  EXPECT_EQ(PlainGcm(keys[0], false, "bound", sealed.substr(0, 16), &tag), "refused");
}

TEST(TwoKeyCollisionTest, TheEnvelopeRefusesItUnderTheKeyThatItDoesNotCommitTo) {
  SystemRandom random;
  const DekId dek_id = random.NewUid<DekId>();
  const Dek deks[] = {testing::DekOfByte('a', dek_id), testing::DekOfByte('b', dek_id)};
  const SealKey seal_keys[] = {*deks[0].MakeSealKey(), *deks[1].MakeSealKey()};
  Binding binding;
  binding.tenant = "contoso";
  binding.hub = random.NewUid<HubUid>();
  XaesNonce nonce;
  random.Fill(nonce);
  const std::string header = testing::EnvelopeHeader(dek_id, 1, 0);
  const std::string data = binding.AssociatedData(header);

  const auto sealer = [&](const SealKey& key) {
    return [&key, &nonce](absl::string_view bound, absl::string_view text) {
      std::string sealed(text.size() + kXaesTagBytes, '\0');
      key.document_key().Seal(nonce, AsBytes(text), AsBytes(bound),
                              {reinterpret_cast<uint8_t*>(sealed.data()), sealed.size()});
      return sealed;
    };
  };
  const std::string body = Collide(sealer(seal_keys[0]), sealer(seal_keys[1]), data);
  // XAES without the commitment is as open to it as GCM is.
  for (const SealKey& key : seal_keys) {
    Block opened;
    EXPECT_THAT(key.document_key().Open(nonce, AsBytes(body), AsBytes(data), opened), IsOk());
  }
  for (size_t committed = 0; committed < 2; ++committed) {
    const auto sealed = SealedDocument::Parse(
        header + AsText(nonce) + body + AsText(seal_keys[committed].document_key().Commit(nonce)));
    ASSERT_THAT(sealed, IsOk());
    EXPECT_THAT(Open(*deks[committed].MakeOpenKey(), binding, *sealed), IsOk());
    EXPECT_THAT(Open(*deks[1 - committed].MakeOpenKey(), binding, *sealed),
                FailsWith("DOCUMENT_CORRUPT", ""));
  }
}

}  // namespace
}  // namespace cmkstore::crypto
