#include "crypto/provider.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/provider.h>

#include "absl/strings/str_cat.h"
#include "base/errors.h"

namespace cmkstore::crypto {
namespace {

// Fetches one algorithm under the default query and gives it back at once.
template <typename Algorithm>
bool Has(Algorithm* (*fetch)(OSSL_LIB_CTX*, const char*, const char*), void (*free)(Algorithm*),
         const char* name) {
  Algorithm* const found = fetch(nullptr, name, nullptr);
  free(found);
  return found != nullptr;
}

// The first algorithm that the chosen provider lacks, or null.
const char* Lacking() {
  for (const char* cipher : {"AES-256-GCM", "AES-256-ECB", "AES-256-CBC", "AES-256-WRAP"}) {
    if (!Has(EVP_CIPHER_fetch, EVP_CIPHER_free, cipher)) return cipher;
  }
  if (!Has(EVP_MD_fetch, EVP_MD_free, "SHA2-256")) return "SHA2-256";
  if (!Has(EVP_MAC_fetch, EVP_MAC_free, "CMAC")) return "CMAC";
  if (!Has(EVP_MAC_fetch, EVP_MAC_free, "HMAC")) return "HMAC";
  if (!Has(EVP_KDF_fetch, EVP_KDF_free, "KBKDF")) return "KBKDF";
  if (!Has(EVP_SIGNATURE_fetch, EVP_SIGNATURE_free, "RSA")) return "RSA";
  return nullptr;
}

}  // namespace

absl::Status SelectProvider(const std::string& property_query) {
  if (property_query.empty()) return absl::OkStatus();
  // openssl.cnf may have loaded it already; loading once more only counts.
  if (property_query == "fips=yes" && OSSL_PROVIDER_try_load(nullptr, "fips", 1) == nullptr) {
    ERR_clear_error();
    return StateInvalid("no FIPS provider of OpenSSL can be loaded on this machine");
  }
  if (EVP_set_default_properties(nullptr, property_query.c_str()) != 1) {
    ERR_clear_error();
    return StateInvalid(absl::StrCat("\"", property_query, "\" is no OpenSSL property query"));
  }
  const char* const lacking = Lacking();
  if (lacking == nullptr) return absl::OkStatus();
  ERR_clear_error();
  return StateInvalid(
      absl::StrCat("no OpenSSL provider has ", lacking, " for \"", property_query, "\""));
}

}  // namespace cmkstore::crypto
