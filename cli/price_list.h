#pragma once

#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace cmkstore::cli {

// The month that prices, estimates and forecasts are of.
inline constexpr double kHoursPerMonth = 730;

// A file of prices: a currency, and numbers by name; docs/usage.md says what each is for, and
// samples/prices.txt is one to begin with.
struct PriceList {
  using Prices = std::map<std::string, double, std::less<>>;

  std::string currency;
  Prices prices;
  std::map<std::string, Prices, std::less<>>
      vaults;  // by vault URI: what this vault has of its own

  // Text of lines `name = value`; `#` begins a comment. Behind a line `[VAULT_URI]` come that
  // vault's own key_operations_10k and vault_key_month. Errors: FIELD_INVALID naming the line that
  // is wrong, or currency if that is missing.
  static absl::StatusOr<PriceList> Parse(absl::string_view text);
  // The same of a file. Errors: STATE_INVALID if it cannot be read, FIELD_INVALID.
  static absl::StatusOr<PriceList> Read(const std::string& file);

  // Errors: FIELD_INVALID naming the first that is missing.
  absl::Status Require(const std::vector<absl::string_view>& names) const;
  // A price that has been required; of a vault that has one of its own, that.
  double Of(absl::string_view name, absl::string_view vault_uri = "") const;
};

}  // namespace cmkstore::cli
