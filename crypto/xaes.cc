#include "crypto/xaes.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>

#include <cstdlib>
#include <cstring>
#include <string>
#include <utility>

#include "base/errors.h"
#include "crypto/openssl_owned.h"

// C2SP XAES-256-GCM: with L = AES_K(0) and K1 = L doubled in GF(2^128),
//   Kx = AES_K(00 01 'X' 00 ‖ N[0:12] ⊕ K1) ‖ AES_K(00 02 'X' 00 ‖ N[0:12] ⊕ K1),  Nx = N[12:24].
// Commitment (ePrint 2025/758): X = AES_K("XCMT" ‖ N[0:12]), then
//   AES_K(X ⊕ K1 ⊕ (N[12:24] ‖ 00 01 00 01)) ‖ AES_K(X ⊕ K1 ⊕ (N[12:24] ‖ 00 01 00 02)).

namespace cmkstore::crypto {
namespace {

using Block = std::array<uint8_t, 16>;

using Context = Owned<EVP_CIPHER_CTX>;

// These calls fail only when the library or the machine is broken: nothing may go on then.
void Require(bool ok) {
  if (!ok) std::abort();
}

const EVP_CIPHER* AesEcb() {
  static const EVP_CIPHER* const cipher = EVP_CIPHER_fetch(nullptr, "AES-256-ECB", nullptr);
  return cipher;
}

const EVP_CIPHER* AesGcm() {
  static const EVP_CIPHER* const cipher = EVP_CIPHER_fetch(nullptr, "AES-256-GCM", nullptr);
  return cipher;
}

void XorInto(Block& block, const Block& other) {
  for (size_t i = 0; i < block.size(); ++i) block[i] ^= other[i];
}

// A GCM context under the key of one nonce, wiped and given back to its thread at the end of the
// call.
class DerivedGcm {
 public:
  DerivedGcm() {
    thread_local Context context(EVP_CIPHER_CTX_new());
    context_ = context.get();
  }
  ~DerivedGcm() {
    // Cleanses the key schedule: no derived key outlives its call.
    EVP_CIPHER_CTX_reset(context_);
  }
  EVP_CIPHER_CTX* get() { return context_; }

 private:
  EVP_CIPHER_CTX* context_;
};

int Size(std::span<const uint8_t> bytes) { return static_cast<int>(bytes.size()); }

}  // namespace

// The key and K1; read-only after Create, so shared by threads without a lock.
struct XaesKey::Schedule {
  SecretBytes key;
  SecretBytes k1{16};
};

namespace {

// Encrypts whole blocks with AES-256 under one key, which is wiped at its end. The set-up costs
// more than the few blocks. One at a time in a thread.
class BlockCipher {
 public:
  explicit BlockCipher(const SecretBytes& key) {
    thread_local Context context(EVP_CIPHER_CTX_new());
    context_ = context.get();
    Require(EVP_EncryptInit_ex2(context_, AesEcb(), key.Reveal().data(), nullptr, nullptr) == 1);
    EVP_CIPHER_CTX_set_padding(context_, 0);
  }
  ~BlockCipher() { EVP_CIPHER_CTX_reset(context_); }

  void Encrypt(std::span<const uint8_t> in, std::span<uint8_t> out) {
    int written = 0;
    Require(EVP_EncryptUpdate(context_, out.data(), &written, in.data(), Size(in)) == 1);
  }

 private:
  EVP_CIPHER_CTX* context_;
};

std::array<uint8_t, 32> DeriveGcmKey(const SecretBytes& key, const SecretBytes& k1,
                                     const XaesNonce& nonce) {
  std::array<uint8_t, 32> blocks{};
  for (size_t half = 0; half < 2; ++half) {
    uint8_t* block = blocks.data() + 16 * half;
    block[1] = static_cast<uint8_t>(half + 1);
    block[2] = 'X';
    std::memcpy(block + 4, nonce.data(), 12);
    for (size_t i = 0; i < 16; ++i) block[i] ^= k1.Reveal()[i];
  }
  std::array<uint8_t, 32> derived;
  BlockCipher(key).Encrypt(blocks, derived);
  OPENSSL_cleanse(blocks.data(), blocks.size());
  return derived;
}

}  // namespace

XaesKey::XaesKey(std::unique_ptr<Schedule> schedule) : schedule_(std::move(schedule)) {}
XaesKey::~XaesKey() = default;

absl::StatusOr<std::unique_ptr<XaesKey>> XaesKey::Create(const SecretBytes& key) {
  if (key.size() != kXaesKeyBytes) return InvariantBroken("an XAES key has 32 bytes");
  auto schedule = std::make_unique<Schedule>();
  schedule->key = key.Clone();
  Block zero{};
  Block l;
  BlockCipher(schedule->key).Encrypt(zero, l);
  std::span<uint8_t> k1 = schedule->k1.MutableReveal();
  for (size_t i = 0; i < 16; ++i) {
    const uint8_t carry = i + 1 < 16 ? static_cast<uint8_t>(l[i + 1] >> 7) : 0;
    k1[i] = static_cast<uint8_t>((l[i] << 1) | carry);
  }
  // 0x87 exactly when the top bit was set, without a branch on key material.
  k1[15] ^= static_cast<uint8_t>(0x87 & (0 - (l[0] >> 7)));
  OPENSSL_cleanse(l.data(), l.size());
  return std::unique_ptr<XaesKey>(new XaesKey(std::move(schedule)));
}

void XaesKey::Seal(const XaesNonce& nonce, std::span<const uint8_t> plaintext,
                   std::span<const uint8_t> associated_data, std::span<uint8_t> out) const {
  Require(out.size() == plaintext.size() + kXaesTagBytes);
  std::array<uint8_t, 32> key = DeriveGcmKey(schedule_->key, schedule_->k1, nonce);
  DerivedGcm gcm;
  int written = 0;
  Require(EVP_EncryptInit_ex2(gcm.get(), AesGcm(), key.data(), nonce.data() + 12, nullptr) == 1);
  OPENSSL_cleanse(key.data(), key.size());
  if (!associated_data.empty()) {
    Require(EVP_EncryptUpdate(gcm.get(), nullptr, &written, associated_data.data(),
                              Size(associated_data)) == 1);
  }
  if (!plaintext.empty()) {
    Require(EVP_EncryptUpdate(gcm.get(), out.data(), &written, plaintext.data(), Size(plaintext)) ==
            1);
  }
  uint8_t* const tag = out.data() + plaintext.size();
  Require(EVP_EncryptFinal_ex(gcm.get(), tag, &written) == 1);
  Require(EVP_CIPHER_CTX_ctrl(gcm.get(), EVP_CTRL_AEAD_GET_TAG, kXaesTagBytes, tag) == 1);
}

absl::Status XaesKey::Open(const XaesNonce& nonce, std::span<const uint8_t> sealed,
                           std::span<const uint8_t> associated_data, std::span<uint8_t> out) const {
  if (sealed.size() < kXaesTagBytes || out.size() != sealed.size() - kXaesTagBytes) {
    return DocumentCorrupt();
  }
  std::array<uint8_t, 32> key = DeriveGcmKey(schedule_->key, schedule_->k1, nonce);
  DerivedGcm gcm;
  int written = 0;
  Require(EVP_DecryptInit_ex2(gcm.get(), AesGcm(), key.data(), nonce.data() + 12, nullptr) == 1);
  OPENSSL_cleanse(key.data(), key.size());
  if (!associated_data.empty()) {
    Require(EVP_DecryptUpdate(gcm.get(), nullptr, &written, associated_data.data(),
                              Size(associated_data)) == 1);
  }
  if (!out.empty()) {
    Require(EVP_DecryptUpdate(gcm.get(), out.data(), &written, sealed.data(), Size(out)) == 1);
  }
  std::array<uint8_t, kXaesTagBytes> tag;
  std::memcpy(tag.data(), sealed.data() + out.size(), tag.size());
  Require(EVP_CIPHER_CTX_ctrl(gcm.get(), EVP_CTRL_AEAD_SET_TAG, kXaesTagBytes, tag.data()) == 1);
  uint8_t none = 0;
  if (EVP_DecryptFinal_ex(gcm.get(), &none, &written) != 1) {
    OPENSSL_cleanse(out.data(), out.size());
    ERR_clear_error();
    return DocumentCorrupt();
  }
  return absl::OkStatus();
}

XaesCommitment XaesKey::Commit(const XaesNonce& nonce) const {
  BlockCipher cipher(schedule_->key);
  Block x;
  std::memcpy(x.data(), "XCMT", 4);
  std::memcpy(x.data() + 4, nonce.data(), 12);
  cipher.Encrypt(x, x);
  std::array<uint8_t, 32> blocks;
  for (size_t half = 0; half < 2; ++half) {
    Block block{};
    std::memcpy(block.data(), nonce.data() + 12, 12);
    block[13] = 1;
    block[15] = static_cast<uint8_t>(half + 1);
    XorInto(block, x);
    for (size_t i = 0; i < 16; ++i) block[i] ^= schedule_->k1.Reveal()[i];
    std::memcpy(blocks.data() + 16 * half, block.data(), 16);
  }
  XaesCommitment commitment;
  cipher.Encrypt(blocks, commitment);
  return commitment;
}

}  // namespace cmkstore::crypto
