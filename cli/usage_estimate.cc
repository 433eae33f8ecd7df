#include "cli/usage_estimate.h"

#include <cmath>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/errors.h"
#include "base/status_macros.h"

namespace cmkstore::cli {
namespace {

constexpr double kHours = 730;
constexpr double kGib = 1024.0 * 1024 * 1024;
// What a document takes beside its content: envelope, names and labels (measured, docs/usage.md).
constexpr double kRowBytes = 230;
// The index of JSON documents of some hundred bytes, by content (measured, docs/usage.md).
constexpr double kIndexFactor = 3;
constexpr double kIndexRowBytes = 500;
// A key that is in use is probed every 30 s; the data key of a hub that is in use is unwrapped
// again every 3.5 minutes.
constexpr double kProbesPerHour = 3600.0 / 30;
constexpr double kRefreshesPerHour = 60.0 / 3.5;

constexpr absl::string_view kNames[] = {
    "customer.index_hour", "platform.index_hour", "stored_gib_month",
    "index_gib_month",     "writes_10k",          "reads_10k",
    "searches_1k",         "key_operations_10k",  "vault_key_month",
};

absl::Status BadLine(int number, absl::string_view what) {
  return FieldInvalid(absl::StrCat("line ", number, " of the price file"), what);
}

bool IsKnown(absl::string_view name) {
  for (const absl::string_view one : kNames) {
    if (one == name) return true;
  }
  return false;
}

}  // namespace

absl::StatusOr<PriceList> PriceList::Parse(absl::string_view text) {
  PriceList list;
  int number = 0;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    ++number;
    line = absl::StripAsciiWhitespace(line.substr(0, line.find('#')));
    if (line.empty()) continue;
    const std::pair<absl::string_view, absl::string_view> parts =
        absl::StrSplit(line, absl::MaxSplits('=', 1));
    const absl::string_view name = absl::StripAsciiWhitespace(parts.first);
    const absl::string_view value = absl::StripAsciiWhitespace(parts.second);
    if (name == "currency") {
      list.currency = std::string(value);
      continue;
    }
    double price = 0;
    if (!IsKnown(name)) return BadLine(number, absl::StrCat("names no price: \"", name, "\""));
    if (!absl::SimpleAtod(value, &price) || !std::isfinite(price) || price < 0) {
      return BadLine(number, absl::StrCat(name, " must be a number that is not negative"));
    }
    if (!list.prices.emplace(name, price).second) {
      return BadLine(number, absl::StrCat(name, " is given twice"));
    }
  }
  for (const absl::string_view name : kNames) {
    if (list.prices.count(name) == 0) {
      return FieldInvalid("the price file", absl::StrCat("must give ", name));
    }
  }
  if (list.currency.empty()) return FieldInvalid("the price file", "must give currency");
  return list;
}

std::vector<EstimateLine> EstimateMonth(const UsageForecast& forecast, const PriceList& prices) {
  const auto both = [&prices](absl::string_view name) { return prices.Of(name); };
  const double stored = (forecast.bytes + forecast.documents * kRowBytes) / kGib;
  const double index = (forecast.bytes * kIndexFactor + forecast.documents * kIndexRowBytes) / kGib;
  const double key_operations =
      kHours * (forecast.keys * kProbesPerHour + forecast.hubs * kRefreshesPerHour);
  std::vector<EstimateLine> lines = {
      {"search indexes", "index-hours", forecast.hubs * kHours, both("customer.index_hour"),
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
  return lines;
}

}  // namespace cmkstore::cli
