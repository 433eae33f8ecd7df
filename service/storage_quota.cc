#include "service/storage_quota.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/errors.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "service/hub_directory.h"
#include "store/tables.h"

namespace cmkstore::service {
namespace {

constexpr size_t kHubsAtOnce = 1000;
constexpr absl::Duration kLogEvery = absl::Minutes(1);

// Whether what is added still fits; a limit of 0 is none.
bool Fits(int64_t held, int64_t change, uint64_t limit) {
  return limit == 0 || change <= 0 || held + change <= static_cast<int64_t>(limit);
}

}  // namespace

StorageReservation::StorageReservation(StorageReservation&& other) noexcept
    : quota_(std::exchange(other.quota_, nullptr)),
      tenant_(std::move(other.tenant_)),
      change_(other.change_) {}

StorageReservation::~StorageReservation() {
  if (quota_ == nullptr) return;
  quota_->Add(tenant_,
              {-std::max<int64_t>(change_.documents, 0), -std::max<int64_t>(change_.bytes, 0)});
}

void StorageReservation::Committed() {
  StorageQuota* const quota = std::exchange(quota_, nullptr);
  quota->Add(tenant_,
             {std::min<int64_t>(change_.documents, 0), std::min<int64_t>(change_.bytes, 0)});
}

absl::Status StorageQuota::Load() {
  const store::HubsTable hubs(engine_);
  const store::Partition catalog = store::CatalogPartition();
  CMK_ASSIGN_OR_RETURN(auto records, hubs.List(catalog, kHubsAtOnce));
  while (!records.empty()) {
    for (const storage::v1::HubRecord& record : records) {
      if (record.purge().finish_time_micros() != 0) continue;  // has no rows any more
      const absl::StatusOr<StoredAmount> amount = AmountOf(record);
      if (amount.ok()) {
        Add(record.tenant(), *amount);
      } else {  // a damaged hub fails its own calls, and not the start of all others
        Log(LogLevel::kError, "hub_usage_unreadable",
            {{"hub", absl::StrCat("tenants/", record.tenant(), "/hubs/", record.hub())},
             {"reason", ReasonOf(amount.status())}});
      }
    }
    const std::string tenant = records.back().tenant(), hub = records.back().hub();
    CMK_ASSIGN_OR_RETURN(records, hubs.ListAfter(catalog, tenant, hub, kHubsAtOnce));
  }
  return absl::OkStatus();
}

absl::StatusOr<StoredAmount> StorageQuota::AmountOf(const storage::v1::HubRecord& hub) const {
  CMK_ASSIGN_OR_RETURN(const store::UsageNumbers totals,
                       store::UsageTable(engine_).Totals(HubDirectory::MakeEntry(hub)->partition));
  return StoredAmount::Of(totals);
}

void StorageQuota::Set(QuotaOptions options) {
  absl::MutexLock lock(&mutex_);
  options_ = std::move(options);
}

void StorageQuota::Add(const std::string& tenant, StoredAmount change) {
  if (change == StoredAmount()) return;
  absl::MutexLock lock(&mutex_);
  StoredAmount& held = tenants_[tenant].held;
  held.documents += change.documents;
  held.bytes += change.bytes;
  if (held == StoredAmount()) tenants_.erase(tenant);
}

StoredAmount StorageQuota::HeldBy(const std::string& tenant) const {
  absl::MutexLock lock(&mutex_);
  const auto found = tenants_.find(tenant);
  return found == tenants_.end() ? StoredAmount() : found->second.held;
}

absl::StatusOr<StorageReservation> StorageQuota::Reserve(const std::string& tenant,
                                                         StoredAmount change) {
  QuotaLimits limits;
  bool documents_fit = true, log = false;
  {
    absl::MutexLock lock(&mutex_);
    limits = options_.Of(tenant);
    Tenant& one = tenants_[tenant];
    documents_fit = Fits(one.held.documents, change.documents, limits.documents);
    if (documents_fit && Fits(one.held.bytes, change.bytes, limits.stored_bytes)) {
      one.held.documents += std::max<int64_t>(change.documents, 0);
      one.held.bytes += std::max<int64_t>(change.bytes, 0);
      return StorageReservation(*this, tenant, change);
    }
    const absl::Time now = clock_.MonotonicNow();
    log = one.logged_at + kLogEvery <= now;
    if (log) one.logged_at = now;
  }
  if (!documents_fit) {
    refused_documents_.Add();
    return Refuse(tenant, "documents", limits.documents, log);
  }
  refused_bytes_.Add();
  return Refuse(tenant, "stored_bytes", limits.stored_bytes, log);
}

absl::Status StorageQuota::Refuse(const std::string& tenant, absl::string_view quota,
                                  uint64_t limit, bool log) {
  if (log) {
    Log(LogLevel::kWarning, "quota_reached",
        {{"tenant", tenant}, {"quota", std::string(quota)}, {"limit", absl::StrCat(limit)}});
  }
  const absl::string_view of_what = quota == "documents" ? " documents" : " bytes of documents";
  return QuotaExceeded(
      {.subject = absl::StrCat("tenants/", tenant),
       .quota = std::string(quota),
       .description = absl::StrCat("the tenant's hubs may hold ", limit, of_what,
                                   " together and this write would make it more; delete some, or "
                                   "ask the operator for more"),
       .retry_after = std::nullopt});
}

}  // namespace cmkstore::service
