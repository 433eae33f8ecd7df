#include "service/lock_receipts.h"

#include <utility>
#include <vector>

#include "base/errors.h"
#include "base/log.h"
#include "store/tables.h"

namespace cmkstore::service {
namespace {

constexpr absl::Duration kTryAgain = absl::Seconds(1);
constexpr char kPushCause[] = "locked by its key administrator";

// 0: never, or not known.
int64_t Micros(absl::Time time) {
  return time == absl::InfinitePast() || time == absl::InfiniteFuture() ? 0
                                                                        : absl::ToUnixMicros(time);
}

storage::v1::LockRecord ToRecord(const keycache::LockReport& report, bool index_closed) {
  storage::v1::LockRecord record;
  record.set_by_push(report.by_push);
  record.set_detect_time_micros(Micros(report.detected_at));
  record.set_lock_time_micros(Micros(report.locked_at));
  record.set_last_success_time_micros(Micros(report.last_success));
  record.set_keys_wiped(report.keys_wiped);
  record.set_index_closed(index_closed);
  record.set_cause(report.cause);
  return record;
}

bool Stands(const storage::v1::LockRecord& record) { return record.end_time_micros() == 0; }

bool IsPushLock(const storage::v1::LockRecord& record) {
  return record.by_push() && Stands(record);
}

std::optional<storage::v1::LockRecord> DenialIn(const storage::v1::LockRecord& record) {
  if (!Stands(record)) return std::nullopt;
  if (!record.by_push()) return record;
  return record.has_denial() ? std::optional(record.denial()) : std::nullopt;
}

}  // namespace

std::optional<storage::v1::LockRecord> LockReceipts::Last(HubUid hub) const {
  {
    absl::MutexLock lock(&mutex_);
    if (const auto found = last_.find(hub); found != last_.end()) return found->second;
  }
  const auto stored = store::LocksTable(engine_).Get(store::CatalogPartition(), hub);
  if (stored.ok()) return *stored;
  Log(LogLevel::kError, "lock_receipt_unreadable",
      {{"hub_uid", hub.ToHex()},
       {"hub", actions_.name_of(hub)},
       {"reason", ReasonOf(stored.status())}});
  return std::nullopt;
}

std::optional<storage::v1::LockRecord> LockReceipts::StandingDenial(HubUid hub) const {
  const std::optional<storage::v1::LockRecord> last = Last(hub);
  return last.has_value() ? DenialIn(*last) : std::nullopt;
}

storage::v1::LockRecord LockReceipts::AddPushLock(HubUid hub, absl::Time now,
                                                  store::WriteSet& writes) const {
  if (const auto last = Last(hub); last.has_value() && IsPushLock(*last)) {
    // The keys are wiped already: by this call, or by one that the store refused.
    store::LocksTable::Put(writes, hub, *last);
    return *last;
  }
  storage::v1::LockRecord record;
  record.set_by_push(true);
  record.set_detect_time_micros(absl::ToUnixMicros(now));
  record.set_cause(kPushCause);
  if (const auto denial = StandingDenial(hub)) *record.mutable_denial() = *denial;
  store::LocksTable::Put(writes, hub, record);
  return record;
}

std::optional<storage::v1::LockRecord> LockReceipts::AddPushUnlock(HubUid hub, absl::Time now,
                                                                   store::WriteSet& writes) const {
  std::optional<storage::v1::LockRecord> last = Last(hub);
  if (!last.has_value() || !IsPushLock(*last)) return std::nullopt;
  if (const auto denial = DenialIn(*last)) {
    last = *denial;
  } else {
    last->set_end_time_micros(absl::ToUnixMicros(now));
  }
  store::LocksTable::Put(writes, hub, *last);
  return last;
}

void LockReceipts::Settle(HubUid hub, storage::v1::LockRecord committed) {
  {
    absl::MutexLock lock(&mutex_);
    const auto last = last_.find(hub);
    const auto denial = last == last_.end() ? std::nullopt : DenialIn(last->second);
    if (last != last_.end()) last_.erase(last);
    refused_.erase(hub);
    if (!denial.has_value() || DenialIn(committed).has_value()) return;
    if (IsPushLock(committed)) {
      *committed.mutable_denial() = *denial;
    } else {
      committed = *denial;
    }
    last_[hub] = committed;
  }
  Write(hub, committed);
}

void LockReceipts::End(HubUid hub) {
  std::optional<storage::v1::LockRecord> last = Last(hub);
  if (!last.has_value() || !Stands(*last)) return;
  if (last->by_push()) {  // which UnlockHub alone ends
    if (!last->has_denial()) return;
    last->clear_denial();
  } else {
    last->set_end_time_micros(absl::ToUnixMicros(clock_.WallNow()));
  }
  Keep(hub, *last);
}

void LockReceipts::Keep(HubUid hub, const storage::v1::LockRecord& record) {
  {
    absl::MutexLock lock(&mutex_);
    last_[hub] = record;
  }
  Write(hub, record);
}

void LockReceipts::Write(HubUid hub, const storage::v1::LockRecord& record) {
  store::WriteSet writes;
  store::LocksTable::Put(writes, hub, record);
  engine_.Apply(store::CatalogPartition(), std::move(writes),
                [this, hub](const absl::StatusOr<store::Sequence>& result) {
                  if (result.ok()) return;
                  absl::MutexLock lock(&mutex_);
                  refused_.insert(hub);
                });
}

void LockReceipts::Tick() {
  if (clock_.MonotonicNow() < next_try_) return;
  std::vector<std::pair<HubUid, storage::v1::LockRecord>> again;
  {
    absl::MutexLock lock(&mutex_);
    if (refused_.empty()) return;
    for (const HubUid hub : std::exchange(refused_, {})) {
      if (const auto last = last_.find(hub); last != last_.end()) again.push_back(*last);
    }
  }
  next_try_ = clock_.MonotonicNow() + kTryAgain;
  for (const auto& [hub, record] : again) Write(hub, record);
}

void LockReceipts::OnLocked(const keycache::LockReport& report) {
  const bool index_closed = actions_.close_index(report.hub);
  actions_.wake_streams(report.hub);
  Log(LogLevel::kWarning, "hub_locked",
      {{"hub_uid", report.hub.ToHex()},
       {"hub", actions_.name_of(report.hub)},
       {"by", report.by_push ? "push" : "vault"},
       {"cause", report.cause},
       {"keys_wiped", std::to_string(report.keys_wiped)},
       {"index_closed", index_closed ? "true" : "false"}});
  if (report.by_push && report.keys_wiped == 0) {
    // LockHub again, in a process that knew nothing of the hub: the receipt of the lock stays.
    const std::optional<storage::v1::LockRecord> last = Last(report.hub);
    const bool told = last.has_value() && last->by_push() && last->lock_time_micros() != 0;
    if (told && Stands(*last)) return;
  }
  storage::v1::LockRecord record = ToRecord(report, index_closed);
  std::optional<storage::v1::LockRecord> last = Last(report.hub);
  if (!report.by_push && last.has_value() && IsPushLock(*last)) {
    // The receipt of that lock stays to be read while it stands, and the refusal beneath it.
    *last->mutable_denial() = std::move(record);
    return Keep(report.hub, *last);
  }
  const auto denial = last.has_value() ? DenialIn(*last) : std::nullopt;
  if (report.by_push && denial.has_value()) *record.mutable_denial() = *denial;
  Keep(report.hub, record);
}

void LockReceipts::OnUnlocked(HubUid hub) {
  Log(LogLevel::kInfo, "hub_unlocked", {{"hub_uid", hub.ToHex()}, {"hub", actions_.name_of(hub)}});
  End(hub);
  actions_.follow_again(hub);
}

void LockReceipts::OnVaultUnreachable(const std::string& vault_uri, absl::string_view reason) {
  Log(LogLevel::kWarning, "vault_unreachable",
      {{"vault", vault_uri}, {"reason", std::string(reason)}});
}

void LockReceipts::OnVaultReachable(const std::string& vault_uri) {
  Log(LogLevel::kInfo, "vault_reachable", {{"vault", vault_uri}});
}

void LockReceipts::OnWrappedDekUnusable(HubUid hub, const std::string& vault_uri,
                                        absl::string_view reason) {
  Log(LogLevel::kError, "wrapped_dek_unusable",
      {{"hub_uid", hub.ToHex()},
       {"hub", actions_.name_of(hub)},
       {"vault", vault_uri},
       {"reason", std::string(reason)}});
}

void LockReceipts::OnHubKeysCorrupt(HubUid hub, absl::string_view reason) {
  Log(LogLevel::kError, "hub_keys_corrupt",
      {{"hub_uid", hub.ToHex()}, {"hub", actions_.name_of(hub)}, {"reason", std::string(reason)}});
}

}  // namespace cmkstore::service
