#include "service/key_version_follower.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/errors.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "service/hub_key_source.h"
#include "store/tables.h"
#include "vault/azure_answers.h"
#include "vault/vault_errors.h"

namespace cmkstore::service {
namespace {

constexpr size_t kHubsAtOnce = 1000;
constexpr absl::Duration kDescribeTimeout = absl::Seconds(10);
constexpr absl::Duration kAwaitTurn = absl::Seconds(5);
// Of one hub, which goes on in the next turn of its vault.
constexpr absl::Duration kHubTime = absl::Seconds(30);
constexpr size_t kMaxWaiting = 100'000;
// After which a vault lets the others go on; the hub at hand is finished.
constexpr absl::Duration kTurn = absl::Seconds(20);
constexpr absl::Duration kWarnEvery = absl::Hours(1);

bool Follows(const storage::v1::HubRecord& record) {
  return record.has_customer_key() && record.state() != storage::v1::HUB_STATE_PURGED &&
         !record.locked_by_push();
}

bool AreUnder(const keycache::HubKeyRecords& records, const std::string& version_id) {
  return std::all_of(records.deks.begin(), records.deks.end(), [&](const auto& dek) {
    return absl::EqualsIgnoreCase(dek.facts.kek_id, version_id);
  });
}

// A get that is forbidden withdraws nothing: the hubs read by unwraps.
absl::Status MeaningOfGet(const absl::Status& refusal) {
  const std::string cause = CauseOf(refusal);
  const bool withdrawn = cause == "KeyNotFound" || cause == "KeyDisabled";
  if (vault::OutcomeOf(refusal) != vault::VaultOutcome::kDenied || withdrawn) return refusal;
  return WithCause(CustomerKeyUnfit({{"get", std::string(refusal.message())}}), cause);
}

bool StandsInAllHubsWay(const absl::Status& status) {
  return HasReason(status, "VAULT_UNREACHABLE") || HasReason(status, "VAULT_THROTTLED") ||
         HasReason(status, "VAULT_LOGIN_FAILED") || HasReason(status, "CUSTOMER_KEY_UNFIT");
}

}  // namespace

KeyVersionFollower::KeyName KeyVersionFollower::NameOf(const std::string& vault_uri,
                                                       const std::string& key_name) {
  return {vault_uri, absl::AsciiStrToLower(key_name)};  // a vault answers in a case of its own
}

void KeyVersionFollower::OnLatest(const vault::KeyRef& key, const std::string& version_id) {
  {
    absl::MutexLock lock(&mutex_);
    if (waiting_.size() >= kMaxWaiting) return;  // told again
    Seen& seen = waiting_[NameOf(key.vault_uri, key.key_name)];
    if (seen.version != version_id) seen = {version_id, {}};
  }
  // Not taken where one waits already: that one finds it.
  (void)worker_.TryRun([this] { Follow(); });
}

void KeyVersionFollower::PutBack(Round& round) {
  {
    absl::MutexLock lock(&mutex_);
    for (auto& [key, seen] : round.left) {
      const auto [now, fresh] = waiting_.try_emplace(key, seen);
      // Told of again meanwhile: it goes on where it was, so that it comes to its end.
      if (!fresh && now->second.version == seen.version) now->second.last = seen.last;
    }
  }
  (void)worker_.TryRun([this] { Follow(); });
}

void KeyVersionFollower::Follow() {
  Round round;
  {
    absl::MutexLock lock(&mutex_);
    round.keys = std::exchange(waiting_, {});
  }
  if (round.keys.empty()) return;
  const absl::Time now = clock_.MonotonicNow();
  std::erase_if(warned_, [now](const auto& warned) { return warned.second.next <= now; });
  if (const absl::Status followed = FollowAll(round); !followed.ok()) {
    failed_.Add();
    Log(LogLevel::kWarning, "key_versions_not_followed", {{"reason", ReasonOf(followed)}});
  }
  if (!round.left.empty() && !stopping_) PutBack(round);
}

absl::Status KeyVersionFollower::FollowAll(Round& round) {
  const store::HubsTable hubs(engine_);
  const store::Partition catalog = store::CatalogPartition();
  CMK_ASSIGN_OR_RETURN(auto records, hubs.List(catalog, kHubsAtOnce));
  while (!records.empty()) {
    const std::string tenant = records.back().tenant(), last = records.back().hub();
    for (storage::v1::HubRecord& record : records) {
      if (stopping_) return absl::OkStatus();
      if (!Follows(record)) continue;
      const std::string vault = record.customer_key().vault_uri();
      const auto key = round.keys.find(NameOf(vault, record.customer_key().key_name()));
      if (key == round.keys.end()) continue;
      Seen& seen = key->second;
      const std::pair<std::string, std::string> place(record.tenant(), record.hub());
      if (place <= seen.last) continue;
      if (round.taken[vault] >= kTurn) {
        round.left.insert(*key);
        continue;
      }
      const auto before = std::exchange(seen.last, place);
      const HubEntryPtr hub = HubDirectory::MakeEntry(std::move(record));
      const absl::Time began = clock_.MonotonicNow();
      const absl::Status followed = FollowHub(*hub, seen.version, round.asked);
      round.taken[vault] += clock_.MonotonicNow() - began;
      if (followed.ok() || stopping_) continue;
      if (HasReason(followed, "DEADLINE_EXCEEDED")) {
        round.left.try_emplace(key->first, Seen{seen.version, before});
        continue;
      }
      Warn(*hub, seen.version, followed);
      failed_.Add();
    }
    CMK_ASSIGN_OR_RETURN(records, hubs.ListAfter(catalog, tenant, last, kHubsAtOnce));
  }
  return absl::OkStatus();
}

void KeyVersionFollower::Warn(const HubEntry& hub, const std::string& version,
                              const absl::Status& failed) {
  const absl::Time now = clock_.MonotonicNow();
  const std::string reason = ReasonOf(failed);
  Warning& last = warned_[hub.uid];
  if (last.version == version && last.reason == reason && now < last.next) return;
  last = {version, reason, now + kWarnEvery};
  Log(LogLevel::kWarning, "key_version_not_followed",
      {{"hub_uid", hub.uid.ToHex()},
       {"hub", hub.Name()},
       {"reason", reason},
       {"cause", std::string(failed.message())}});
}

absl::Status KeyVersionFollower::FollowHub(const HubEntry& hub, const std::string& seen,
                                           Asked& asked) {
  hubs_.directory().Remember(hub);  // nobody may have asked for it by its name yet
  CMK_ASSIGN_OR_RETURN(const keycache::HubKeyRecords records, source_.Load(hub.uid));
  if (!records.key.version.empty() || AreUnder(records, seen)) return absl::OkStatus();
  const std::string name = absl::StrCat(records.key.vault_uri, " ", records.key.key_name, " as ",
                                        records.key.identity, " of ", records.key.directory);
  const auto [latest, fresh] = asked.try_emplace(name, std::string());
  if (fresh) {
    // What was seen may be of a minute ago, and the hub ahead of it.
    latest->second = AskLatest(records.key);
    CMK_RETURN_IF_ERROR(latest->second.status());
  }
  if (!latest->second.ok()) return absl::OkStatus();
  const absl::Status rewrapped = Rewrap(hub, *latest->second);
  if (StandsInAllHubsWay(rewrapped)) latest->second = rewrapped;
  return rewrapped;
}

absl::Status KeyVersionFollower::Rewrap(const HubEntry& hub, const std::string& latest) {
  const absl::Time began = clock_.WallNow();
  CMK_ASSIGN_OR_RETURN(const auto turn, changes_.TakeTurn(hub.uid, began + kAwaitTurn));
  CMK_ASSIGN_OR_RETURN(const keycache::HubKeyRecords records, source_.Load(hub.uid));
  const storage::v1::CustomerKey& key = hub.record.customer_key();
  // The hub may have been given another key, or been locked, while its turn was waited for.
  if (!records.key.version.empty() || records.locked_by_push || AreUnder(records, latest) ||
      NameOf(records.key.vault_uri, records.key.key_name) !=
          NameOf(key.vault_uri(), key.key_name())) {
    return absl::OkStatus();
  }
  CMK_RETURN_IF_ERROR(changes_.Follow(*turn, hub, latest, began + kHubTime, stopping_));
  Log(LogLevel::kInfo, "key_version_followed",
      {{"hub_uid", hub.uid.ToHex()},
       {"hub", hub.Name()},
       {"key_version", vault::VersionOf(latest)}});
  rewrapped_.Add();
  return absl::OkStatus();
}

absl::StatusOr<std::string> KeyVersionFollower::AskLatest(const vault::KeyRef& key) {
  const absl::Time now = clock_.WallNow();
  const auto described = vault_.Describe(key, now + kDescribeTimeout);
  if (!described.ok()) return MeaningOfGet(described.status());
  if (!described->enabled || now < described->not_before || now >= described->expires) {
    return CustomerKeyUnfit(
        {{"validity", "the key's latest version is disabled or outside its nbf/exp dates"}});
  }
  return described->version_id;
}

void KeyVersionFollower::Stop() {
  stopping_ = true;
  worker_.Stop();
}

}  // namespace cmkstore::service
