#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "cli/price_list.h"

namespace cmkstore::cli {

// What a month is expected to look like.
struct UsageForecast {
  double hubs = 1;
  double keys = 1;  // vault keys; hubs may share one
  double documents = 0;
  double bytes = 0;  // of content
  double writes = 0, reads = 0, searches = 0;
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

// A month by the formula of docs/usage.md. Errors: FIELD_INVALID naming a price that is missing.
absl::StatusOr<std::vector<EstimateLine>> EstimateMonth(const UsageForecast& forecast,
                                                        const PriceList& prices);

}  // namespace cmkstore::cli
