#include "keycache/hub_opener.h"

#include <algorithm>
#include <utility>

#include "base/errors.h"
#include "base/status_macros.h"
#include "crypto/hub_secrets.h"
#include "vault/following_key_vault.h"

namespace cmkstore::keycache {

absl::StatusOr<crypto::Dek> HubOpener::Unwrap(const vault::KeyRef& key,
                                              const WrappedDekRecord& record, absl::Time deadline,
                                              absl::Status& answer) {
  absl::StatusOr<crypto::SecretBytes> secret = vault_.Unwrap(key, record.wrapped, deadline);
  answer = secret.status();
  CMK_RETURN_IF_ERROR(answer);
  CMK_ASSIGN_OR_RETURN(crypto::Dek dek,
                       crypto::Dek::FromSecret(record.facts.dek_id, *std::move(secret)));
  // A wrapped DEK moved here from another hub unwraps well; its check does not (KL-11).
  CMK_RETURN_IF_ERROR(dek.VerifyCheck(record.facts, record.check));
  return dek;
}

absl::StatusOr<HubKeysPtr> HubOpener::OpenNewest(HubUid hub, const HubKeyRecords& records,
                                                 absl::Time deadline, absl::Time now_monotonic,
                                                 absl::Status& answer) {
  if (records.deks.empty()) return DekNotFound();
  CMK_ASSIGN_OR_RETURN(const crypto::Dek dek,
                       Unwrap(records.key, records.deks.back(), deadline, answer));
  if (records.locked_by_denial && records.key.version.empty()) {
    // The refusal may have been of the key's latest version, where this is an older one: what is on
    // record is lifted by the vault's word alone (KL-14).
    answer = vault::CheckNotWithdrawn(vault_.Describe(records.key, deadline));
    CMK_RETURN_IF_ERROR(answer);
  }
  CMK_ASSIGN_OR_RETURN(crypto::SealKey seal, dek.MakeSealKey());
  CMK_ASSIGN_OR_RETURN(crypto::OpenKey open, dek.MakeOpenKey());
  CMK_ASSIGN_OR_RETURN(crypto::SealedDocument sealed,
                       crypto::SealedDocument::Parse(records.sealed_hub_secrets));
  // After an interrupted rotation the secrets may still be under the generation before.
  OpenKeyPtr older;
  if (sealed.dek_id() != open.dek_id()) {
    absl::Status older_answer;
    CMK_ASSIGN_OR_RETURN(older, OpenGeneration(records, sealed.dek_id(), deadline, older_answer));
  }
  CMK_ASSIGN_OR_RETURN(
      crypto::HubSecrets secrets,
      crypto::OpenHubSecrets(older == nullptr ? open : *older, records.tenant, hub, sealed));
  CMK_ASSIGN_OR_RETURN(crypto::NameKey names,
                       crypto::NameKey::FromSecret(std::move(secrets.name_key)));
  auto index_key = std::make_shared<const crypto::SecretBytes>(std::move(secrets.index_key));
  return std::make_shared<const HubKeys>(
      HubKeys{hub, seal, open, names, std::move(index_key), now_monotonic});
}

absl::StatusOr<OpenKeyPtr> HubOpener::OpenGeneration(const HubKeyRecords& records, DekId dek_id,
                                                     absl::Time deadline, absl::Status& answer) {
  const auto record =
      std::find_if(records.deks.begin(), records.deks.end(),
                   [&](const WrappedDekRecord& one) { return one.facts.dek_id == dek_id; });
  if (record == records.deks.end()) return DekNotFound();
  CMK_ASSIGN_OR_RETURN(const crypto::Dek dek, Unwrap(records.key, *record, deadline, answer));
  CMK_ASSIGN_OR_RETURN(crypto::OpenKey open, dek.MakeOpenKey());
  return std::make_shared<const crypto::OpenKey>(std::move(open));
}

absl::Status HubOpener::Probe(const vault::KeyRef& key, const WrappedDekRecord& record,
                              absl::Time deadline) {
  return vault_.Unwrap(key, record.wrapped, deadline).status();
}

}  // namespace cmkstore::keycache
