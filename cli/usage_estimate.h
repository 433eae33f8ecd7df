#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace cmkstore::cli {

// What a month is expected to look like.
struct UsageForecast {
  double hubs = 1;
  double keys = 1;  // vault keys; hubs may share one
  double documents = 0;
  double bytes = 0;  // of content
  double writes = 0, reads = 0, searches = 0;
};

// The operator's prices: a currency and a number by name.
struct PriceList {
  std::string currency;
  std::map<std::string, double, std::less<>> prices;

  // Text of lines `name = value`; `#` begins a comment. Errors: FIELD_INVALID naming the line, or
  // the price that is missing, unknown or no number.
  static absl::StatusOr<PriceList> Parse(absl::string_view text);
  double Of(absl::string_view name) const { return prices.find(name)->second; }
};

// quantity × price = amount.
struct EstimateLine {
  std::string what;
  std::string unit;
  double quantity = 0;
  double customer_price = 0, platform_price = 0;

  double customer_amount() const { return quantity * customer_price; }
  double platform_amount() const { return quantity * platform_price; }
};

// A month of 730 hours by the formula of docs/usage.md.
std::vector<EstimateLine> EstimateMonth(const UsageForecast& forecast, const PriceList& prices);

}  // namespace cmkstore::cli
