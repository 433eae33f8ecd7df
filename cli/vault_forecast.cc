#include "cli/vault_forecast.h"

#include <nlohmann/json.hpp>

#include "base/errors.h"
#include "base/status_macros.h"

namespace cmkstore::cli {
namespace {

using nlohmann::json;

constexpr double kHoursPerMonth = 730.5;  // of a mean month
// The server allows itself half of what the vault takes.
constexpr double kPublishedOverBudget = 2;

absl::Time ToTime(const google::protobuf::Timestamp& time) {
  return absl::FromUnixSeconds(time.seconds()) + absl::Nanoseconds(time.nanos());
}

absl::Status ReadNumber(const json& from, const char* name, double& value) {
  const auto found = from.find(name);
  if (found == from.end()) return absl::OkStatus();
  if (!found->is_number() || found->get<double>() < 0) {
    return FieldInvalid(name, "must be a number that is not negative");
  }
  value = found->get<double>();
  return absl::OkStatus();
}

absl::Status ReadPrice(const json& from, VaultPrice& price) {
  if (!from.is_object()) return FieldInvalid("prices", "must be a JSON object");
  CMK_RETURN_IF_ERROR(ReadNumber(from, "per_10000_operations", price.per_10000_operations));
  return ReadNumber(from, "per_key_month", price.per_key_month);
}

}  // namespace

absl::StatusOr<VaultPrices> ParsePrices(const std::string& text) {
  const json file = json::parse(text, nullptr, false);
  VaultPrices prices;
  CMK_RETURN_IF_ERROR(ReadPrice(file, prices.price));
  for (const auto& [name, value] : file.items()) {
    if (name == "currency" && value.is_string()) {
      prices.currency = value.get<std::string>();
    } else if (name == "vaults" && value.is_object()) {
      for (const auto& [uri, own] : value.items()) {
        VaultPrice price = prices.price;
        CMK_RETURN_IF_ERROR(ReadPrice(own, price));
        prices.vaults[uri] = price;
      }
    } else if (name != "per_10000_operations" && name != "per_key_month") {
      return FieldInvalid(name, "is no price, or has not the form of one");
    }
  }
  return prices;
}

std::optional<VaultForecast> ForecastOf(const v1::VaultUsage& usage,
                                        const std::optional<VaultPrices>& prices) {
  VaultForecast forecast;
  forecast.measured = ToTime(usage.read_time()) - ToTime(usage.since_time());
  if (!usage.has_since_time() || forecast.measured <= absl::ZeroDuration()) {
    return std::nullopt;
  }
  const double operations =
      static_cast<double>(usage.describes() + 2 * usage.wraps() + usage.unwraps());
  forecast.operations_per_month =
      operations / absl::ToDoubleHours(forecast.measured) * kHoursPerMonth;
  if (prices.has_value()) {
    const auto own = prices->vaults.find(usage.vault_uri());
    const VaultPrice& price = own == prices->vaults.end() ? prices->price : own->second;
    forecast.cost_per_month = forecast.operations_per_month / 10'000 * price.per_10000_operations +
                              usage.keys() * price.per_key_month;
  }
  forecast.published_per_second = kPublishedOverBudget * usage.calls_per_second_limit();
  if (forecast.published_per_second > 0) {
    forecast.head_room =
        1 - static_cast<double>(usage.busiest_second()) / forecast.published_per_second;
  }
  return forecast;
}

const char* ForecastFormula() {
  return "operations a month = (describes + 2 x wraps + unwraps) / measured hours x 730.5\n"
         "cost               = operations / 10,000 x price + keys x price of a key\n"
         "head-room          = 1 - busiest second / published limit of the vault's dearest key\n";
}

}  // namespace cmkstore::cli
