#include "crypto/hub_secrets.h"

#include <string>
#include <utility>

#include "base/errors.h"
#include "base/status_macros.h"

namespace cmkstore::crypto {
namespace {

constexpr size_t kSecretBytes = 32;

Binding SecretsBinding(absl::string_view tenant, HubUid hub) {
  Binding binding;
  binding.kind = RowKind::kHubSecrets;
  binding.tenant = std::string(tenant);
  binding.hub = hub;
  return binding;
}

}  // namespace

HubSecrets HubSecrets::Generate(Random& random) {
  return {random.Secret(kSecretBytes), random.Secret(kSecretBytes)};
}

absl::StatusOr<SealedDocument> SealHubSecrets(const SealKey& key, absl::string_view tenant,
                                              HubUid hub, const HubSecrets& secrets,
                                              Random& random) {
  std::string plaintext;
  plaintext.reserve(2 * kSecretBytes);
  for (const SecretBytes* secret : {&secrets.name_key, &secrets.index_key}) {
    plaintext.append(reinterpret_cast<const char*>(secret->Reveal().data()), secret->size());
  }
  absl::StatusOr<SealedDocument> sealed =
      Seal(key, SecretsBinding(tenant, hub), 1, plaintext, random);
  Wipe(plaintext);
  return sealed;
}

absl::StatusOr<HubSecrets> OpenHubSecrets(const OpenKey& key, absl::string_view tenant, HubUid hub,
                                          const SealedDocument& sealed) {
  CMK_ASSIGN_OR_RETURN(std::string plaintext, Open(key, SecretsBinding(tenant, hub), sealed));
  if (plaintext.size() != 2 * kSecretBytes) {
    Wipe(plaintext);
    return DocumentCorrupt();
  }
  const auto* bytes = reinterpret_cast<const uint8_t*>(plaintext.data());
  HubSecrets secrets{SecretBytes({bytes, kSecretBytes}),
                     SecretBytes({bytes + kSecretBytes, kSecretBytes})};
  Wipe(plaintext);
  return secrets;
}

}  // namespace cmkstore::crypto
