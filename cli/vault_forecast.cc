#include "cli/vault_forecast.h"

namespace cmkstore::cli {
namespace {

// The server allows itself half of what the vault takes.
constexpr double kPublishedOverBudget = 2;
// A hub's first calls in a second, taken for a month, would be millions.
constexpr absl::Duration kLeastMeasured = absl::Minutes(1);

absl::Time ToTime(const google::protobuf::Timestamp& time) {
  return absl::FromUnixSeconds(time.seconds()) + absl::Nanoseconds(time.nanos());
}

}  // namespace

std::optional<VaultForecast> ForecastOf(const v1::VaultUsage& usage,
                                        const std::optional<PriceList>& prices) {
  VaultForecast forecast;
  forecast.measured = ToTime(usage.read_time()) - ToTime(usage.since_time());
  if (!usage.has_since_time() || forecast.measured < kLeastMeasured) return std::nullopt;
  const double operations =
      static_cast<double>(usage.describes() + 2 * usage.wraps() + usage.unwraps());
  forecast.operations_per_month =
      operations / absl::ToDoubleHours(forecast.measured) * kHoursPerMonth;
  if (prices.has_value()) {
    forecast.cost_per_month = forecast.operations_per_month / 10'000 *
                                  prices->Of("key_operations_10k", usage.vault_uri()) +
                              usage.keys() * prices->Of("vault_key_month", usage.vault_uri());
  }
  forecast.published_per_second = kPublishedOverBudget * usage.calls_per_second_limit();
  if (forecast.published_per_second > 0) {
    forecast.head_room =
        1 - static_cast<double>(usage.busiest_second()) / forecast.published_per_second;
  }
  return forecast;
}

const char* ForecastFormula() {
  return "operations a month = (describes + 2 x wraps + unwraps) / measured hours x 730\n"
         "cost               = operations / 10,000 x key_operations_10k + keys x vault_key_month\n"
         "head-room          = 1 - busiest second / published limit of the vault's dearest key\n";
}

}  // namespace cmkstore::cli
