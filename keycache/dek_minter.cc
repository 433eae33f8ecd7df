#include "keycache/dek_minter.h"

#include <utility>

#include "base/errors.h"
#include "base/status_macros.h"

namespace cmkstore::keycache {

absl::StatusOr<MintedDek> MintDek(vault::KeyVault& vault, const vault::KeyRef& key,
                                  const std::string& tenant, HubUid hub, uint32_t generation,
                                  crypto::Random& random, Clock& clock, absl::Time deadline) {
  crypto::SecretBytes secret = random.Secret(crypto::kDekBytes);
  CMK_ASSIGN_OR_RETURN(vault::WrappedKey wrapped, vault.Wrap(key, secret, deadline));
  CMK_ASSIGN_OR_RETURN(crypto::SecretBytes again, vault.Unwrap(key, wrapped, deadline));
  if (!secret.EqualsInConstantTime(again.Reveal())) {
    return CustomerKeyUnfit({{"round_trip", "the vault unwraps another key than it wrapped"}});
  }
  WrappedDekRecord record;
  record.facts.tenant = tenant;
  record.facts.hub = hub;
  record.facts.dek_id = random.NewUid<DekId>();
  record.facts.generation = generation;
  record.facts.kek_id = wrapped.version_id;
  record.facts.algorithm = wrapped.algorithm;
  record.facts.created_unix_micros = absl::ToUnixMicros(clock.WallNow());
  record.wrapped = std::move(wrapped);
  CMK_ASSIGN_OR_RETURN(crypto::Dek dek,
                       crypto::Dek::FromSecret(record.facts.dek_id, std::move(secret)));
  record.check = dek.Check(record.facts);
  return MintedDek{std::move(dek), std::move(record)};
}

}  // namespace cmkstore::keycache
