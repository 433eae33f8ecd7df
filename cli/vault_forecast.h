#pragma once

#include <optional>

#include "absl/time/time.h"
#include "cli/price_list.h"
#include "cmkstore/v1/key_service.pb.h"

namespace cmkstore::cli {

// What a vault is in for in a month, if it goes on as measured.
struct VaultForecast {
  absl::Duration measured;
  double operations_per_month = 0;
  std::optional<double> cost_per_month;  // absent without a price
  double published_per_second = 0;       // what the vault takes of its dearest key
  double head_room = 0;  // the part of that which the busiest second left; below 0: beyond it
};

// Absent when the vault was not called yet, or is measured for less than a minute. `prices` give
// key_operations_10k and vault_key_month.
//
//   operations a month = (describes + 2 × wraps + unwraps) ÷ measured hours × 730
//   cost               = operations ÷ 10,000 × key_operations_10k + keys × vault_key_month
//   head-room          = 1 − busiest second ÷ published limit
std::optional<VaultForecast> ForecastOf(const v1::VaultUsage& usage,
                                        const std::optional<PriceList>& prices);

// The same three lines, for people.
const char* ForecastFormula();

}  // namespace cmkstore::cli
