#pragma once

#include <string>

#include "base/clock.h"
#include "cmkstore/v1/usage_service.pb.h"
#include "service/hub_access.h"
#include "service/page_token.h"
#include "service/usage_meter.h"
#include "store/engine.h"

namespace cmkstore::service {

// UsageService: reads the usage rows of hubs and of what is left of purged ones. Blocking: for
// control threads. Thread-safe.
class UsageReport {
 public:
  UsageReport(HubAccess& hubs, store::Engine& engine, const UsageMeter& meter, Clock& clock,
              const PageTokens& tokens)
      : hubs_(hubs), engine_(engine), meter_(meter), clock_(clock), tokens_(tokens) {}

  absl::StatusOr<v1::QueryUsageResponse> Query(const AdmittedCall& call,
                                               const v1::QueryUsageRequest& request);

 private:
  struct Hours {
    uint64_t first = 0;
    uint64_t end = 0;  // first one not wanted
  };
  // Where a page begins: behind the record of this hub and hour.
  struct Place {
    std::string hub;
    uint64_t next_hour = 0;
  };

  absl::StatusOr<Hours> HoursOf(const v1::QueryUsageRequest& request, absl::Time now) const;
  // Adds the hub's records from `first` on until the page is full; the hour to go on from, or
  // nothing when the hub has no more.
  absl::StatusOr<std::optional<uint64_t>> AddHub(const HubEntry& hub, uint64_t first,
                                                 const Hours& hours, absl::Time now, size_t limit,
                                                 v1::QueryUsageResponse& response);
  absl::StatusOr<std::vector<HubEntryPtr>> HubsFrom(const AdmittedCall& call,
                                                    const v1::QueryUsageRequest& request,
                                                    const Place& place);

  HubAccess& hubs_;
  store::Engine& engine_;
  const UsageMeter& meter_;
  Clock& clock_;
  const PageTokens& tokens_;
};

}  // namespace cmkstore::service
