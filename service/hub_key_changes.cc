#include "service/hub_key_changes.h"

#include <algorithm>
#include <atomic>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "base/errors.h"
#include "base/request_scope.h"
#include "base/status_macros.h"
#include "crypto/hub_secrets.h"
#include "keycache/dek_minter.h"
#include "service/apply_blocking.h"
#include "service/hub_key_source.h"
#include "service/timestamps.h"
#include "store/tables.h"
#include "vault/following_key_vault.h"
#include "vault/vault_errors.h"

namespace cmkstore::service {

namespace {

constexpr size_t kRewrapThreads = 8;  // of a change of key, which has the time of a call
constexpr int64_t kDeksAtOnce = 10;   // of a commit behind the vault's calls
// A failure so near to the deadline is one of the time.
constexpr absl::Duration kRewrapLeft = absl::Milliseconds(500);
constexpr absl::Duration kDekTimeout = absl::Seconds(7);  // short, since a stop waits for it

void ReplaceDek(store::WriteSet& writes, const keycache::WrappedDekRecord& before,
                const keycache::WrappedDekRecord& fresh) {
  const uint32_t generation = before.facts.generation;
  store::DeksTable::RequireUnchanged(writes, generation, ToRecord(before), EtagMismatch());
  store::DeksTable::Put(writes, generation, ToRecord(fresh));
}

// Each wrapped by `key`, in their order; or the first failure, and how many were wrapped before it.
absl::StatusOr<std::vector<keycache::WrappedDekRecord>> RewrapAll(
    vault::KeyVault& vault, const vault::KeyRef& key,
    const std::vector<keycache::WrappedDekRecord>& deks, absl::Time deadline, size_t& wrapped) {
  std::vector<keycache::WrappedDekRecord> fresh = deks;
  std::atomic<size_t> next = 0, done = 0;
  absl::Mutex mutex;
  absl::Status failure;
  std::atomic<bool> failed = false;
  const auto work = [&, request = RequestScope::Current()](size_t most) {
    const RequestScope scope(request);
    for (size_t i = 0; most > 0 && !failed && (i = next++) < deks.size(); --most) {
      auto one = keycache::RewrapDek(vault, key, deks[i], deadline);
      if (one.ok()) {
        fresh[i] = *std::move(one);
        ++done;
        continue;
      }
      absl::MutexLock lock(&mutex);
      failure.Update(one.status());
      failed = true;
    }
  };
  work(1);  // by itself: what a vault refuses of one it mostly refuses of all
  std::vector<std::thread> threads;
  for (size_t i = 1; i < std::min(kRewrapThreads, deks.size()) && !failed; ++i) {
    threads.emplace_back(work, deks.size());
  }
  for (std::thread& thread : threads) thread.join();
  wrapped = done;
  CMK_RETURN_IF_ERROR(failure);
  return fresh;
}

}  // namespace

v1::DekGeneration ToGeneration(const keycache::WrappedDekRecord& dek, bool seals) {
  v1::DekGeneration generation;
  generation.set_dek_id(dek.facts.dek_id.ToHex());
  generation.set_generation(dek.facts.generation);
  generation.set_kek_id(dek.facts.kek_id);
  generation.set_algorithm(dek.facts.algorithm);
  *generation.mutable_create_time() = ToTimestamp(dek.facts.created_unix_micros);
  generation.set_seals(seals);
  return generation;
}

absl::StatusOr<uint32_t> HubKeyChanges::NextGeneration(HubUid hub) {
  CMK_ASSIGN_OR_RETURN(const keycache::HubKeyRecords records, source_.Load(hub));
  const uint32_t next = records.deks.back().facts.generation + 1;
  if (next > kMaxDekGenerations) return StateInvalid("the hub has all the DEKs that it may have");
  return next;
}

absl::StatusOr<std::unique_ptr<HubKeyChanges::Turn>> HubKeyChanges::TakeTurn(HubUid hub,
                                                                             absl::Time deadline) {
  absl::MutexLock lock(&mutex_);
  const auto is_free = [this, hub]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return !in_change_.contains(hub);
  };
  if (!mutex_.AwaitWithTimeout(absl::Condition(&is_free), deadline - clock_.WallNow())) {
    return DeadlineExceeded("another change of the hub's key");
  }
  in_change_.insert(hub);
  return std::make_unique<Turn>(*this, hub);
}

void HubKeyChanges::EndTurn(HubUid hub) {
  absl::MutexLock lock(&mutex_);
  in_change_.erase(hub);
}

absl::StatusOr<v1::DekGeneration> HubKeyChanges::Rotate(const HubEntry& hub, uint32_t generation,
                                                        absl::Time deadline) {
  CMK_ASSIGN_OR_RETURN(const std::unique_ptr<Turn> turn, TakeTurn(hub.uid, deadline));
  CMK_ASSIGN_OR_RETURN(const keycache::HubKeyRecords records, source_.Load(hub.uid));
  if (records.deks.back().facts.generation >= generation) {
    return ToGeneration(records.deks.back(), /*seals=*/true);
  }
  if (records.locked_by_push) return HubLocked();
  // The secrets are opened with the key that sealed them, straight from the vault: the cache may be
  // older.
  CMK_ASSIGN_OR_RETURN(const crypto::SealedDocument sealed,
                       crypto::SealedDocument::Parse(records.sealed_hub_secrets));
  CMK_ASSIGN_OR_RETURN(
      const keycache::OpenKeyPtr open,
      BlockOnCompletion<keycache::OpenKeyPtr>([&](Completion<keycache::OpenKeyPtr> done) {
        hubs_.key_cache().FetchOpenKey(hub.uid, sealed.dek_id(), deadline, std::move(done));
      }));
  CMK_ASSIGN_OR_RETURN(const crypto::HubSecrets secrets,
                       crypto::OpenHubSecrets(*open, records.tenant, hub.uid, sealed));
  CMK_ASSIGN_OR_RETURN(const keycache::MintedDek minted,
                       keycache::MintDek(vault_, records.key, records.tenant, hub.uid, generation,
                                         random_, clock_, deadline));
  CMK_ASSIGN_OR_RETURN(const crypto::SealKey seal, minted.dek.MakeSealKey());
  CMK_ASSIGN_OR_RETURN(crypto::SealedDocument sealed_secrets,
                       crypto::SealHubSecrets(seal, records.tenant, hub.uid, secrets, random_));
  store::WriteSet writes;
  store::DeksTable::RequireAbsent(writes, generation, EtagMismatch());
  store::DeksTable::Put(writes, generation, ToRecord(minted.record));
  store::HubSecretsTable::RequireUnchanged(writes, sealed, EtagMismatch());
  store::HubSecretsTable::Put(writes, std::move(sealed_secrets));
  CMK_RETURN_IF_ERROR(ApplyBlocking(engine_, hub.partition, std::move(writes)).status());
  hubs_.key_cache().Supersede(hub.uid);
  hubs_.CountWraps(hub.uid, 1);
  BringKeys(hub.uid, deadline);
  return ToGeneration(minted.record, /*seals=*/true);
}

void HubKeyChanges::BringKeys(HubUid hub, absl::Time deadline) {
  BlockOnCompletion<keycache::HubKeysPtr>([&](Completion<keycache::HubKeysPtr> done) {
    hubs_.key_cache().Fetch(hub, deadline, std::move(done));
  }).IgnoreError();
}

absl::Status HubKeyChanges::Rewrap(const Turn& /*turn*/, const HubEntry& hub,
                                   const vault::KeyRef& key, absl::Time deadline) {
  CMK_ASSIGN_OR_RETURN(const keycache::HubKeyRecords records, source_.Load(hub.uid));
  if (key != records.key && records.key.version.empty()) {
    // What an older version wraps unwraps though its owner has withdrawn the key, which is the
    // latest one (KL-14): no change of the key may lift that.
    vault::KeyRef wraps_now = key;
    wraps_now.key_name = records.key.key_name;
    wraps_now.version.clear();
    CMK_RETURN_IF_ERROR(vault::CheckNotWithdrawn(vault_.Describe(wraps_now, deadline)));
  }
  size_t wrapped = 0;
  const auto fresh = RewrapAll(vault_, key, records.deks, deadline, wrapped);
  if (!fresh.ok()) {
    if (clock_.WallNow() + kRewrapLeft < deadline) return fresh.status();
    return DeadlineExceeded(absl::StrCat(
        "the vault, which has wrapped ", wrapped, " of the hub's ", records.deks.size(),
        " data keys by the other key; nothing is changed. It says ", fresh.status().message()));
  }
  store::WriteSet writes;
  for (size_t i = 0; i < fresh->size(); ++i) ReplaceDek(writes, records.deks[i], (*fresh)[i]);
  if (key != KeyRefOf(hub.record)) {
    store::KeyChangeTable::Put(writes, ToRecord(key));
  } else {
    store::KeyChangeTable::Delete(writes);  // of a change that is taken back before it was named
  }
  CMK_RETURN_IF_ERROR(ApplyBlocking(engine_, hub.partition, std::move(writes)).status());
  hubs_.key_cache().Forget(hub.uid);
  hubs_.CountWraps(hub.uid, static_cast<int64_t>(records.deks.size()));
  return absl::OkStatus();
}

absl::Status HubKeyChanges::Follow(const Turn& /*turn*/, const HubEntry& hub,
                                   const std::string& latest, absl::Time deadline,
                                   const std::atomic<bool>& stopping) {
  CMK_ASSIGN_OR_RETURN(const keycache::HubKeyRecords records, source_.Load(hub.uid));
  store::WriteSet writes;
  int64_t in_writes = 0, done = 0;
  const auto commit = [&]() -> absl::Status {
    const int64_t wrapped = std::exchange(in_writes, 0);
    if (wrapped == 0) return absl::OkStatus();
    CMK_RETURN_IF_ERROR(ApplyBlocking(engine_, hub.partition, std::exchange(writes, {})).status());
    done += wrapped;
    hubs_.key_cache().Rebind(hub.uid);
    hubs_.CountWraps(hub.uid, wrapped);
    return absl::OkStatus();
  };
  absl::Status ended, passed_over;
  for (auto dek = records.deks.rbegin(); dek != records.deks.rend() && ended.ok(); ++dek) {
    if (absl::EqualsIgnoreCase(dek->facts.kek_id, latest)) continue;
    const absl::Time now = clock_.WallNow();
    if (stopping || now >= deadline) {
      ended = stopping ? Cancelled("the server stops")
                       : DeadlineExceeded("the hub's other generations");
      break;
    }
    const auto fresh =
        keycache::RewrapDek(vault_, records.key, *dek, std::min(deadline, now + kDekTimeout));
    if (!fresh.ok()) {
      const vault::VaultOutcome outcome = vault::OutcomeOf(fresh.status());
      const bool by_itself =
          outcome == vault::VaultOutcome::kDenied || outcome == vault::VaultOutcome::kCorrupt;
      if (dek == records.deks.rbegin() || !by_itself) {
        ended = fresh.status();
      } else if (passed_over.ok()) {
        passed_over = Annotate(fresh.status(), absl::StrCat("generation ", dek->facts.generation,
                                                            " stays under an older version"));
      }
      continue;
    }
    ReplaceDek(writes, *dek, *fresh);
    if (++in_writes == kDeksAtOnce) ended = commit();
  }
  CMK_RETURN_IF_ERROR(commit());  // also of what came before a failure
  // Whoever goes on where this has ended must come to an end.
  if (HasReason(ended, "DEADLINE_EXCEEDED") && done == 0 && !passed_over.ok()) return passed_over;
  CMK_RETURN_IF_ERROR(ended);
  return passed_over;
}

}  // namespace cmkstore::service
