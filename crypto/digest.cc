#include "crypto/digest.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include <cstdlib>
#include <memory>

#include "crypto/openssl_owned.h"

namespace cmkstore::crypto {
namespace {

// These calls fail only when the library or the machine is broken: nothing may go on then.
void Require(bool ok) {
  if (!ok) std::abort();
}

const unsigned char* Raw(absl::string_view bytes) {
  return reinterpret_cast<const unsigned char*>(bytes.data());
}

using MacContext = Owned<EVP_MAC_CTX>;

const EVP_MD* Sha256Digest() {
  static const EVP_MD* const digest = EVP_MD_fetch(nullptr, "SHA2-256", nullptr);
  return digest;
}

MacContext NewHmacSha256() {
  static EVP_MAC* const hmac = EVP_MAC_fetch(nullptr, "HMAC", nullptr);
  MacContext context(EVP_MAC_CTX_new(hmac));
  char digest[] = "SHA2-256";
  const OSSL_PARAM parameters[] = {
      OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
      OSSL_PARAM_construct_end()};
  Require(EVP_MAC_CTX_set_params(context.get(), parameters) == 1);
  return context;
}

// Making one costs more than a MAC of a short message.
EVP_MAC_CTX* ThreadsHmac() {
  thread_local const MacContext context = NewHmacSha256();
  return context.get();
}

}  // namespace

std::string Sha256(absl::string_view bytes) {
  thread_local Sha256Stream stream;
  stream.Add(bytes);
  return stream.Finish();
}

HmacSha256Session::HmacSha256Session(std::span<const uint8_t> key) {
  Require(EVP_MAC_init(ThreadsHmac(), key.data(), key.size(), nullptr) == 1);
}

HmacSha256Session::~HmacSha256Session() {
  const uint8_t none[32] = {};
  Require(EVP_MAC_init(ThreadsHmac(), none, sizeof(none), nullptr) == 1);
}

std::array<uint8_t, 32> HmacSha256Session::Mac(absl::string_view bytes) {
  std::array<uint8_t, 32> mac;
  size_t size = 0;
  EVP_MAC_CTX* const context = ThreadsHmac();
  Require(EVP_MAC_update(context, Raw(bytes), bytes.size()) == 1);
  Require(EVP_MAC_final(context, mac.data(), &size, mac.size()) == 1);
  // Ready for the next message, under the same key.
  Require(EVP_MAC_init(context, nullptr, 0, nullptr) == 1);
  return mac;
}

std::string HmacSha256(std::span<const uint8_t> key, absl::string_view bytes) {
  const auto mac = HmacSha256Session(key).Mac(bytes);
  return std::string(mac.begin(), mac.end());
}

struct Sha256Stream::Context {
  EVP_MD_CTX* const digest = EVP_MD_CTX_new();
  ~Context() { EVP_MD_CTX_free(digest); }
};

Sha256Stream::Sha256Stream() : context_(std::make_unique<Context>()) {
  Require(context_->digest != nullptr &&
          EVP_DigestInit_ex2(context_->digest, Sha256Digest(), nullptr) == 1);
}

Sha256Stream::~Sha256Stream() = default;

void Sha256Stream::Add(absl::string_view bytes) {
  Require(EVP_DigestUpdate(context_->digest, bytes.data(), bytes.size()) == 1);
}

std::string Sha256Stream::Finish() {
  std::string digest(32, '\0');
  Require(EVP_DigestFinal_ex(context_->digest, reinterpret_cast<unsigned char*>(digest.data()),
                             nullptr) == 1);
  Require(EVP_DigestInit_ex2(context_->digest, Sha256Digest(), nullptr) == 1);
  return digest;
}

}  // namespace cmkstore::crypto
