#include "vault/dev_vault/key_material.h"

#include <map>
#include <nlohmann/json.hpp>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "base/errors.h"
#include "base/status_macros.h"
#include "crypto/key_wrap.h"
#include "crypto/random.h"
#include "crypto/rsa_vault_operations.h"

namespace cmkstore::dev_vault {
namespace {

using nlohmann::json;

constexpr size_t kAesBytes = 32;

std::span<const uint8_t> Bytes(absl::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}
std::string Text(std::span<const uint8_t> bytes) {
  return std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

bool IsRsaSize(int bits) { return bits == 2048 || bits == 3072 || bits == 4096; }

std::string Number(const json& jwk, const char* name) {
  std::string bytes;
  if (const auto found = jwk.find(name);
      found == jwk.end() || !found->is_string() ||
      !absl::WebSafeBase64Unescape(found->get<std::string>(), &bytes)) {
    return "";
  }
  return bytes;
}

}  // namespace

absl::StatusOr<KeyMaterial::Ptr> KeyMaterial::Generate(const std::string& type, int bits) {
  if (type == "oct-HSM") {
    if (bits != 256) return StateInvalid("key_size of an oct-HSM key must be 256 here");
    return Ptr(new KeyMaterial(type, std::nullopt, crypto::SystemRandom().Secret(kAesBytes)));
  }
  if (type != "RSA" && type != "RSA-HSM") {
    return StateInvalid("kty must be RSA, RSA-HSM or, in a managed HSM, oct-HSM");
  }
  if (!IsRsaSize(bits)) return StateInvalid("key_size must be 2048, 3072 or 4096");
  CMK_ASSIGN_OR_RETURN(crypto::RsaPrivateKey rsa, crypto::RsaPrivateKey::Generate(bits));
  return Ptr(new KeyMaterial(type, std::move(rsa), {}));
}

absl::StatusOr<KeyMaterial::Ptr> KeyMaterial::Import(const json& jwk) {
  const std::string type = jwk.value("kty", "");
  if (type == "oct-HSM" || type == "oct") {
    std::string bytes = Number(jwk, "k");
    if (bytes.size() != kAesBytes) return StateInvalid("k of an oct key must be 32 bytes here");
    return Ptr(new KeyMaterial("oct-HSM", std::nullopt, crypto::SecretBytes(Bytes(bytes))));
  }
  if (type != "RSA" && type != "RSA-HSM") {
    return StateInvalid("kty must be RSA, RSA-HSM or, in a managed HSM, oct-HSM");
  }
  std::map<std::string, std::string> numbers;
  for (const char* name : {"n", "e", "d", "p", "q", "dp", "dq", "qi"}) {
    numbers[name] = Number(jwk, name);
  }
  CMK_ASSIGN_OR_RETURN(crypto::RsaPrivateKey rsa, crypto::ImportRsaKey(numbers));
  if (!IsRsaSize(rsa.bits())) return StateInvalid("key_size must be 2048, 3072 or 4096");
  return Ptr(new KeyMaterial(type, std::move(rsa), {}));
}

absl::StatusOr<KeyMaterial::Ptr> KeyMaterial::FromState(const json& state) {
  const std::string type = state.value("kty", "");
  if (const std::string k = Number(state, "k"); k.size() == kAesBytes) {
    return Ptr(new KeyMaterial(type, std::nullopt, crypto::SecretBytes(Bytes(k))));
  }
  CMK_ASSIGN_OR_RETURN(crypto::RsaPrivateKey rsa,
                       crypto::RsaPrivateKey::FromPem(state.value("pem", "")));
  return Ptr(new KeyMaterial(type, std::move(rsa), {}));
}

json KeyMaterial::ToState() const {
  json state = {{"kty", type_}};
  if (rsa_.has_value()) {
    state["pem"] = rsa_->ToPem();
  } else {
    state["k"] = absl::WebSafeBase64Escape(Text(aes_.Reveal()));
  }
  return state;
}

json KeyMaterial::PublicJwk() const {
  json jwk = {{"kty", type_}};
  if (rsa_.has_value()) {
    jwk["n"] = absl::WebSafeBase64Escape(rsa_->ModulusBytes());
    jwk["e"] = absl::WebSafeBase64Escape(rsa_->ExponentBytes());
  }
  return jwk;
}

int KeyMaterial::bits() const {
  return rsa_.has_value() ? rsa_->bits() : static_cast<int>(aes_.size() * 8);
}

std::optional<std::string> KeyMaterial::Encrypt(absl::string_view algorithm,
                                                absl::string_view plaintext) const {
  if (rsa_.has_value()) return crypto::RsaEncrypt(*rsa_, algorithm, plaintext);
  if (algorithm != "A256KW" || plaintext.size() != kAesBytes) return std::nullopt;
  return crypto::AesKeyWrap(aes_, crypto::SecretBytes(Bytes(plaintext)));
}

std::optional<std::string> KeyMaterial::Decrypt(absl::string_view algorithm,
                                                absl::string_view ciphertext) const {
  if (rsa_.has_value()) return crypto::RsaDecrypt(*rsa_, algorithm, ciphertext);
  if (algorithm != "A256KW") return std::nullopt;
  const auto opened = crypto::AesKeyUnwrap(aes_, ciphertext);
  if (!opened.ok()) return std::nullopt;
  return Text(opened->Reveal());
}

std::optional<std::string> KeyMaterial::Sign(absl::string_view algorithm,
                                             absl::string_view digest) const {
  if (!rsa_.has_value()) return std::nullopt;
  return crypto::RsaSignDigest(*rsa_, algorithm, digest);
}

std::optional<bool> KeyMaterial::Verify(absl::string_view algorithm, absl::string_view digest,
                                        absl::string_view signature) const {
  if (!rsa_.has_value()) return std::nullopt;
  return crypto::RsaVerifyDigest(*rsa_, algorithm, digest, signature);
}

}  // namespace cmkstore::dev_vault
