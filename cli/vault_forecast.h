#pragma once

#include <map>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "cmkstore/v1/key_service.pb.h"

namespace cmkstore::cli {

// What a vault's owner pays for it.
struct VaultPrice {
  double per_10000_operations = 0;
  double per_key_month = 0;
};
struct VaultPrices {
  std::string currency = "USD";
  VaultPrice price;                          // of a vault that is not named below
  std::map<std::string, VaultPrice> vaults;  // by vault URI
};

// {"currency": "EUR", "per_10000_operations": 0.03, "per_key_month": 0,
//  "vaults": {"https://contoso.vault.azure.net": {"per_10000_operations": 0.15, "per_key_month":
//  1}}}
// What a vault does not name it has of the whole. Errors: FIELD_INVALID.
absl::StatusOr<VaultPrices> ParsePrices(const std::string& text);

// What a vault is in for in a month, if it goes on as measured.
struct VaultForecast {
  absl::Duration measured;
  double operations_per_month = 0;
  std::optional<double> cost_per_month;  // absent without a price
  double published_per_second = 0;       // what the vault takes of its dearest key
  double head_room = 0;  // the part of that which the busiest second left; below 0: beyond it
};

// Absent when nothing was measured: the vault was not called yet, or in this moment for the first
// time.
//
//   operations a month = (describes + 2 × wraps + unwraps) ÷ measured hours × 730.5
//   cost               = operations ÷ 10,000 × price + keys × price of a key
//   head-room          = 1 − busiest second ÷ published limit
std::optional<VaultForecast> ForecastOf(const v1::VaultUsage& usage,
                                        const std::optional<VaultPrices>& prices);

// The same three lines, for people.
const char* ForecastFormula();

}  // namespace cmkstore::cli
