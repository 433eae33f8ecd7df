#include "keycache/dek_minter.h"

#include <string>
#include <utility>

#include "base/errors.h"
#include "base/status_macros.h"
#include "vault/vault_errors.h"

namespace cmkstore::keycache {
namespace {

// What is stored opens by unwraps: a vault that refuses a wrap has withdrawn nothing.
absl::Status MeaningOfWrap(const absl::Status& answer) {
  if (vault::OutcomeOf(answer) != vault::VaultOutcome::kDenied) return answer;
  return WithCause(CustomerKeyUnfit({{"wrap", std::string(answer.message())}}), CauseOf(answer));
}

// Wraps, and opens again once: no DEK is ever kept that could not be opened later.
absl::StatusOr<vault::WrappedKey> WrapAndProve(vault::KeyVault& vault, const vault::KeyRef& key,
                                               const crypto::SecretBytes& secret,
                                               absl::Time deadline) {
  absl::StatusOr<vault::WrappedKey> wrapped = vault.Wrap(key, secret, deadline);
  if (!wrapped.ok()) return MeaningOfWrap(wrapped.status());
  CMK_ASSIGN_OR_RETURN(const crypto::SecretBytes again, vault.Unwrap(key, *wrapped, deadline));
  if (!secret.EqualsInConstantTime(again.Reveal())) {
    return CustomerKeyUnfit({{"round_trip", "the vault unwraps another key than it wrapped"}});
  }
  return wrapped;
}

}  // namespace

absl::StatusOr<MintedDek> MintDek(vault::KeyVault& vault, const vault::KeyRef& key,
                                  const std::string& tenant, HubUid hub, uint32_t generation,
                                  crypto::Random& random, Clock& clock, absl::Time deadline) {
  crypto::SecretBytes secret = random.Secret(crypto::kDekBytes);
  CMK_ASSIGN_OR_RETURN(vault::WrappedKey wrapped, WrapAndProve(vault, key, secret, deadline));
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

absl::StatusOr<WrappedDekRecord> RewrapDek(vault::KeyVault& vault, const vault::KeyRef& key,
                                           const WrappedDekRecord& record, absl::Time deadline) {
  CMK_ASSIGN_OR_RETURN(crypto::SecretBytes secret, vault.Unwrap(key, record.wrapped, deadline));
  CMK_ASSIGN_OR_RETURN(const crypto::Dek dek,
                       crypto::Dek::FromSecret(record.facts.dek_id, std::move(secret)));
  CMK_RETURN_IF_ERROR(dek.VerifyCheck(record.facts, record.check));
  WrappedDekRecord fresh = record;
  CMK_ASSIGN_OR_RETURN(fresh.wrapped, WrapAndProve(vault, key, dek.secret(), deadline));
  fresh.facts.kek_id = fresh.wrapped.version_id;
  fresh.facts.algorithm = fresh.wrapped.algorithm;
  fresh.check = dek.Check(fresh.facts);
  return fresh;
}

}  // namespace cmkstore::keycache
