#include "cli/usage_estimate.h"

#include "absl/strings/string_view.h"
#include "base/status_macros.h"

namespace cmkstore::cli {
namespace {

constexpr double kGib = 1024.0 * 1024 * 1024;
// What a document takes beside its content: envelope, names and labels (measured, docs/usage.md).
constexpr double kRowBytes = 230;
// The index of JSON documents of some hundred bytes, by content (measured, docs/usage.md).
constexpr double kIndexFactor = 1.6;
constexpr double kIndexRowBytes = 400;
// A key that is in use is probed every 30 s; the data key of a hub that is in use is unwrapped
// again every 3.5 minutes.
constexpr double kProbesPerHour = 3600.0 / 30;
constexpr double kRefreshesPerHour = 60.0 / 3.5;

}  // namespace

absl::StatusOr<std::vector<EstimateLine>> EstimateMonth(const UsageForecast& forecast,
                                                        const PriceList& prices) {
  CMK_RETURN_IF_ERROR(prices.Require(
      {"customer.index_hour", "platform.index_hour", "stored_gib_month", "index_gib_month",
       "writes_10k", "reads_10k", "searches_1k", "key_operations_10k", "vault_key_month"}));
  const auto both = [&prices](absl::string_view name) { return prices.Of(name); };
  const double stored = (forecast.bytes + forecast.documents * kRowBytes) / kGib;
  const double index = (forecast.bytes * kIndexFactor + forecast.documents * kIndexRowBytes) / kGib;
  const double key_operations =
      kHoursPerMonth * (forecast.keys * kProbesPerHour + forecast.hubs * kRefreshesPerHour);
  return std::vector<EstimateLine>{
      {"search indexes", "index-hours", forecast.hubs * kHoursPerMonth, both("customer.index_hour"),
       both("platform.index_hour")},
      {"documents stored", "GiB-months", stored, both("stored_gib_month"),
       both("stored_gib_month")},
      {"indexes stored", "GiB-months", index, both("index_gib_month"), both("index_gib_month")},
      {"writes", "10,000 calls", forecast.writes / 1e4, both("writes_10k"), both("writes_10k")},
      {"reads and lists", "10,000 calls", forecast.reads / 1e4, both("reads_10k"),
       both("reads_10k")},
      {"searches", "1,000 calls", forecast.searches / 1e3, both("searches_1k"),
       both("searches_1k")},
      {"key operations", "10,000 calls", key_operations / 1e4, both("key_operations_10k"), 0},
      {"vault keys", "key-months", forecast.keys, both("vault_key_month"), 0},
  };
}

}  // namespace cmkstore::cli
