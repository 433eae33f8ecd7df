#include "store/usage_table.h"

#include <limits>
#include <string>

#include "base/errors.h"
#include "base/status_macros.h"
#include "store/counter_row.h"
#include "store/key_layout.h"

// usage                u64 hour                         counters (store/counter_row.h)
// usage of purged hubs hub uid ‖ u64 hour               the same
//
// The hour of the totals is behind all others.

namespace cmkstore::store {
namespace {

constexpr uint64_t kTotals = std::numeric_limits<uint64_t>::max();
// More hours than are ever kept (docs/usage.md).
constexpr size_t kMaxRows = 20'000;
constexpr size_t kHourBytes = sizeof(uint64_t);

absl::StatusOr<UsageSince> Parse(const std::vector<Row>& rows) {
  UsageSince since;
  for (const Row& row : rows) {
    if (row.key.size() < kHourBytes) return StoreCorrupt("a usage row has no hour");
    UsageHour one;
    one.hour = ReadU64(absl::string_view(row.key).substr(row.key.size() - kHourBytes));
    DecodeCounters(row.value, one.numbers.values);
    if (one.hour == kTotals) {
      since.totals = one.numbers;
    } else {
      since.hours.push_back(one);
    }
  }
  return since;
}

}  // namespace

void UsageTable::Add(WriteSet& writes, uint64_t hour, const UsageNumbers& more) {
  const std::string delta = EncodeCounters(more.values);
  writes.Add(MakeKey(Table::kUsage, hour), delta);
  writes.Add(MakeKey(Table::kUsage, kTotals), delta);
}

absl::StatusOr<UsageSince> UsageTable::Since(const Partition& hub, uint64_t hour) const {
  CMK_ASSIGN_OR_RETURN(
      const std::vector<Row> rows,
      engine_->Scan(hub, {MakeKey(Table::kUsage, hour), TableRange(Table::kUsage).end}, kMaxRows));
  return Parse(rows);
}

absl::StatusOr<UsageNumbers> UsageTable::Totals(const Partition& hub) const {
  CMK_ASSIGN_OR_RETURN(const UsageSince since, Since(hub, kTotals));
  return since.totals;
}

absl::StatusOr<bool> UsageTable::DeleteBefore(const Partition& hub, uint64_t hour, size_t limit,
                                              WriteSet& writes) const {
  CMK_ASSIGN_OR_RETURN(
      const std::vector<Row> rows,
      engine_->Scan(hub, {MakeKey(Table::kUsage), MakeKey(Table::kUsage, hour)}, limit));
  for (const Row& row : rows) writes.Delete(row.key);
  return rows.size() == limit;
}

absl::StatusOr<UsageSince> UsageTable::SinceOfPurged(HubUid hub, uint64_t hour) const {
  const KeyRange all = PrefixRange(MakeKey(Table::kPurgedUsage, hub));
  CMK_ASSIGN_OR_RETURN(const std::vector<Row> rows,
                       engine_->Scan(CatalogPartition(),
                                     {MakeKey(Table::kPurgedUsage, hub, hour), all.end}, kMaxRows));
  return Parse(rows);
}

absl::Status UsageTable::CopyOfPurged(HubUid hub, WriteSet& catalog) const {
  CMK_ASSIGN_OR_RETURN(
      std::vector<Row> rows,
      engine_->Scan(CatalogPartition(), PrefixRange(MakeKey(Table::kPurgedUsage, hub)), kMaxRows));
  for (Row& row : rows) catalog.PutRecord(std::move(row.key), std::move(row.value));
  return absl::OkStatus();
}

absl::Status UsageTable::DeleteOfPurged(HubUid hub, WriteSet& catalog) const {
  CMK_ASSIGN_OR_RETURN(
      const std::vector<Row> rows,
      engine_->Scan(CatalogPartition(), PrefixRange(MakeKey(Table::kPurgedUsage, hub)), kMaxRows));
  for (const Row& row : rows) catalog.Delete(row.key);
  return absl::OkStatus();
}

absl::Status UsageTable::CopyForPurge(const Partition& hub, HubUid uid, WriteSet& catalog) const {
  CMK_ASSIGN_OR_RETURN(const std::vector<Row> rows,
                       engine_->Scan(hub, TableRange(Table::kUsage), kMaxRows));
  for (const Row& row : rows) {
    if (row.key.size() < kHourBytes) return StoreCorrupt("a usage row has no hour");
    const uint64_t hour = ReadU64(absl::string_view(row.key).substr(row.key.size() - kHourBytes));
    catalog.PutRecord(MakeKey(Table::kPurgedUsage, uid, hour), row.value);
  }
  return absl::OkStatus();
}

}  // namespace cmkstore::store
