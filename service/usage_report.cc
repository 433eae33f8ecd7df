#include "service/usage_report.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/errors.h"
#include "base/status_macros.h"
#include "service/limits.h"
#include "service/timestamps.h"
#include "store/usage_table.h"

namespace cmkstore::service {
namespace {

using Counter = store::UsageCounter;

constexpr size_t kHubsPerPage = 1000;
constexpr absl::Duration kDefaultSpan = absl::Hours(24);

absl::Time BeginOf(uint64_t hour) {
  return absl::FromUnixSeconds(static_cast<int64_t>(hour) * 3600);
}

// Until when the hub's index is kept, and so metered.
absl::Time EndOf(const storage::v1::HubRecord& record, absl::Time now) {
  return record.has_purge() ? absl::FromUnixMicros(record.purge().start_time_micros()) : now;
}

uint64_t Count(const store::UsageNumbers& numbers, Counter counter) {
  return static_cast<uint64_t>(std::max<int64_t>(numbers[counter], 0));
}

// `level`: what there was at the end of the hour; `numbers`: what happened in it.
v1::UsageRecord ToRecord(const HubEntry& hub, uint64_t hour, absl::Time now,
                         const store::UsageNumbers& level, const store::UsageNumbers& numbers) {
  v1::UsageRecord record;
  record.set_hub(absl::StrCat("tenants/", hub.record.tenant(), "/hubs/", hub.record.hub()));
  record.set_hub_uid(hub.uid.ToHex());
  *record.mutable_hour() = ToTimestamp(BeginOf(hour));
  const absl::Time from =
      std::max(BeginOf(hour), absl::FromUnixMicros(hub.record.create_time_micros()));
  const absl::Time to = std::min(BeginOf(hour + 1), EndOf(hub.record, now));
  *record.mutable_search_index_time() = ToDuration(std::max(to - from, absl::ZeroDuration()));
  record.set_index_bytes(Count(level, Counter::kIndexBytes));
  record.set_documents(Count(level, Counter::kDocuments));
  record.set_stored_bytes(Count(level, Counter::kStoredBytes));
  v1::UsageRequests& requests = *record.mutable_requests();
  requests.set_writes(Count(numbers, Counter::kWriteCalls));
  requests.set_reads(Count(numbers, Counter::kReadCalls));
  requests.set_lists(Count(numbers, Counter::kListCalls));
  requests.set_searches(Count(numbers, Counter::kSearchCalls));
  requests.set_watches(Count(numbers, Counter::kWatchCalls));
  requests.set_control(Count(numbers, Counter::kControlCalls));
  record.set_documents_written(Count(numbers, Counter::kDocumentsWritten));
  record.set_documents_read(Count(numbers, Counter::kDocumentsRead));
  record.mutable_key_operations()->set_unwraps(Count(numbers, Counter::kUnwraps));
  record.mutable_key_operations()->set_wraps(Count(numbers, Counter::kWraps));
  return record;
}

void Subtract(const store::UsageNumbers& less, store::UsageNumbers& from) {
  for (size_t i = 0; i < store::kUsageCounters; ++i) from.values[i] -= less.values[i];
}
void AddTo(store::UsageNumbers& to, const store::UsageNumbers& more) {
  for (size_t i = 0; i < store::kUsageCounters; ++i) to.values[i] += more.values[i];
}

}  // namespace

absl::StatusOr<UsageReport::Hours> UsageReport::HoursOf(const v1::QueryUsageRequest& request,
                                                        absl::Time now) const {
  const absl::Time end = request.has_end_time() ? ToTime(request.end_time()) : now;
  const absl::Time start =
      request.has_start_time() ? ToTime(request.start_time()) : end - kDefaultSpan;
  if (start < absl::UnixEpoch()) return FieldInvalid("start_time", "must be after 1970");
  if (end <= start) return FieldInvalid("end_time", "must be after start_time");
  if (end - start > meter_.options().retention) {
    return FieldInvalid(
        "end_time",
        absl::StrCat("must be at most ", absl::ToInt64Hours(meter_.options().retention) / 24,
                     " days after start_time"));
  }
  // An hour that `end` lies in is wanted; one that begins at it is not.
  return Hours{HourOf(start), HourOf(end - absl::Microseconds(1)) + 1};
}

absl::StatusOr<std::vector<HubEntryPtr>> UsageReport::HubsFrom(const AdmittedCall& call,
                                                               const v1::QueryUsageRequest& request,
                                                               const Place& place) {
  if (const auto name = HubName::Parse("parent", request.parent()); name.ok()) {
    absl::StatusOr<HubEntryPtr> hub = hubs_.Find(call, *name);
    if (HasReason(hub.status(), "HUB_NOT_FOUND")) {
      hub = hubs_.directory().FindPurged(name->tenant, name->hub);
    }
    CMK_RETURN_IF_ERROR(hub.status());
    return std::vector<HubEntryPtr>{*std::move(hub)};
  }
  CMK_ASSIGN_OR_RETURN(const TenantName tenant, TenantName::Parse("parent", request.parent()));
  std::vector<HubEntryPtr> hubs;
  if (place.next_hour != 0) {
    CMK_ASSIGN_OR_RETURN(HubId id, HubId::Parse(place.hub));
    absl::StatusOr<HubEntryPtr> hub = hubs_.directory().Find(tenant.tenant, id);
    if (!hub.ok()) hub = hubs_.directory().FindPurged(tenant.tenant, id);
    CMK_RETURN_IF_ERROR(hub.status());
    hubs.push_back(*std::move(hub));
  }
  CMK_ASSIGN_OR_RETURN(std::vector<HubEntryPtr> next,
                       hubs_.directory().List(tenant.tenant, place.hub, kHubsPerPage));
  hubs.insert(hubs.end(), next.begin(), next.end());
  return hubs;
}

absl::StatusOr<std::optional<uint64_t>> UsageReport::AddHub(const HubEntry& hub, uint64_t first,
                                                            const Hours& hours, absl::Time now,
                                                            size_t limit,
                                                            v1::QueryUsageResponse& response) {
  first =
      std::max({first, hours.first, HourOf(absl::FromUnixMicros(hub.record.create_time_micros()))});
  const uint64_t end = std::min(hours.end, HourOf(std::min(EndOf(hub.record, now), now)) + 1);
  if (first >= end) return std::nullopt;
  if (hub.record.purge().usage_forgotten()) return std::nullopt;
  const store::UsageTable table(engine_);
  CMK_ASSIGN_OR_RETURN(store::UsageSince since, table.Since(hub.partition, first));
  // The purge copies the rows before it drops them, and tells when it has.
  const storage::v1::PurgeReceipt& purge = hub.record.purge();
  if (purge.finish_time_micros() != 0 || (hub.record.has_purge() && since.totals.IsZero())) {
    CMK_ASSIGN_OR_RETURN(since, table.SinceOfPurged(hub.uid, first));
  }
  store::UsageNumbers level = since.totals;
  for (const store::UsageHour& one : since.hours) Subtract(one.numbers, level);
  auto next = since.hours.begin();
  for (uint64_t hour = first; hour < end; ++hour) {
    if (static_cast<size_t>(response.records_size()) == limit) return hour;
    store::UsageNumbers numbers;
    if (next != since.hours.end() && next->hour == hour) {
      numbers = next->numbers;
      AddTo(level, numbers);
      ++next;
    }
    *response.add_records() = ToRecord(hub, hour, now, level, numbers);
  }
  return std::nullopt;
}

absl::StatusOr<v1::QueryUsageResponse> UsageReport::Query(const AdmittedCall& call,
                                                          const v1::QueryUsageRequest& request) {
  const absl::Time now = clock_.WallNow();
  CMK_ASSIGN_OR_RETURN(const size_t page_size, PageSize(request.page_size()));
  CMK_ASSIGN_OR_RETURN(const Hours hours, HoursOf(request, now));
  const std::string question =
      absl::StrCat("QueryUsage ", request.parent(), " ", request.start_time().seconds(), " ",
                   request.end_time().seconds());
  CMK_ASSIGN_OR_RETURN(const std::string cursor,
                       tokens_.Decode(call.caller(), question, request.page_token()));
  Place place;
  if (const std::vector<std::string> parts = absl::StrSplit(cursor, '/'); parts.size() == 2) {
    place.hub = parts[0];
    if (!absl::SimpleAtoi(parts[1], &place.next_hour)) {
      return InvariantBroken("a cursor of usage without an hour");
    }
  }
  CMK_ASSIGN_OR_RETURN(const std::vector<HubEntryPtr> hubs, HubsFrom(call, request, place));
  v1::QueryUsageResponse response;
  *response.mutable_counted_through_time() = ToTimestamp(meter_.counted_through());
  const auto go_on = [&](const HubEntry& hub, uint64_t hour) {
    response.set_next_page_token(
        tokens_.Encode(call.caller(), question, absl::StrCat(hub.record.hub(), "/", hour)));
    return response;
  };
  for (const HubEntryPtr& hub : hubs) {
    const uint64_t first = hub->record.hub() == place.hub ? place.next_hour : 0;
    CMK_ASSIGN_OR_RETURN(const std::optional<uint64_t> more,
                         AddHub(*hub, first, hours, now, page_size, response));
    if (more.has_value()) return go_on(*hub, *more);
  }
  if (hubs.size() >= kHubsPerPage) return go_on(*hubs.back(), 0);
  return response;
}

}  // namespace cmkstore::service
