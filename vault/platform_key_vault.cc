#include "vault/platform_key_vault.h"

#include <fcntl.h>
#include <unistd.h>

#include <utility>

#include "base/errors.h"
#include "base/file.h"
#include "crypto/key_wrap.h"
#include "crypto/random.h"

namespace cmkstore::vault {
namespace {

constexpr size_t kKeyBytes = 32;
constexpr char kVersionId[] = "platform:key/1";

bool WriteNewKey(const std::string& path) {
  crypto::SystemRandom random;
  const crypto::SecretBytes key = random.Secret(kKeyBytes);
  return WriteFileDurably(
      path, {reinterpret_cast<const char*>(key.Reveal().data()), key.Reveal().size()});
}

}  // namespace

absl::StatusOr<std::unique_ptr<PlatformKeyVault>> PlatformKeyVault::Open(const std::string& path) {
  if (access(path.c_str(), F_OK) != 0 && !WriteNewKey(path)) {
    return StateInvalid("the platform key file cannot be made");
  }
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  crypto::SecretBytes key(kKeyBytes + 1);
  const ssize_t size = file < 0 ? -1 : read(file, key.MutableReveal().data(), kKeyBytes + 1);
  if (file >= 0) close(file);
  if (size != kKeyBytes) return StateInvalid("the platform key file does not hold 32 bytes");
  return std::unique_ptr<PlatformKeyVault>(
      new PlatformKeyVault(crypto::SecretBytes(key.Reveal().first(kKeyBytes))));
}

absl::StatusOr<KeyDescription> PlatformKeyVault::Describe(const KeyRef& /*key*/,
                                                          absl::Time /*deadline*/) {
  KeyDescription description;
  description.version_id = kVersionId;
  description.type = "oct";
  description.size_bits = 256;
  description.operations = {"wrapkey", "unwrapkey"};
  description.soft_delete = true;
  description.purge_protection = true;
  return description;
}

absl::StatusOr<WrappedKey> PlatformKeyVault::Wrap(const KeyRef& /*key*/,
                                                  const crypto::SecretBytes& dek,
                                                  absl::Time /*deadline*/) {
  return WrappedKey{kVersionId, "A256KW", crypto::AesKeyWrap(kek_, dek)};
}

absl::StatusOr<crypto::SecretBytes> PlatformKeyVault::Unwrap(const KeyRef& /*key*/,
                                                             const WrappedKey& wrapped,
                                                             absl::Time /*deadline*/) {
  return crypto::AesKeyUnwrap(kek_, wrapped.ciphertext);
}

}  // namespace cmkstore::vault
