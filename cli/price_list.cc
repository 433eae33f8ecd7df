// file := { line }; line := [ entry | "[" vault-uri "]" ] [ "#" comment ]; entry := name "=" value

#include "cli/price_list.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/errors.h"
#include "base/file.h"
#include "base/status_macros.h"

namespace cmkstore::cli {
namespace {

constexpr absl::string_view kOfAVault[] = {"key_operations_10k", "vault_key_month"};
constexpr absl::string_view kOfTheService[] = {
    "customer.index_hour", "platform.index_hour", "stored_gib_month", "index_gib_month",
    "writes_10k",          "reads_10k",           "searches_1k",
};

template <size_t N>
bool IsIn(const absl::string_view (&names)[N], absl::string_view name) {
  return std::find(std::begin(names), std::end(names), name) != std::end(names);
}

class Reader {
 public:
  absl::Status ReadLine(absl::string_view line) {
    ++number_;
    line = absl::StripAsciiWhitespace(line.substr(0, line.find('#')));
    if (line.empty()) return absl::OkStatus();
    if (line.front() == '[') return BeginVault(line);
    const std::pair<absl::string_view, absl::string_view> parts =
        absl::StrSplit(line, absl::MaxSplits('=', 1));
    const absl::string_view name = absl::StripAsciiWhitespace(parts.first);
    const absl::string_view value = absl::StripAsciiWhitespace(parts.second);
    if (name == "currency" && into_ == &list_.prices) {
      list_.currency = std::string(value);
      return absl::OkStatus();
    }
    return ReadPrice(name, value);
  }

  absl::StatusOr<PriceList> Finish() && {
    if (list_.currency.empty()) return FieldInvalid("the price file", "must give currency");
    return std::move(list_);
  }

 private:
  absl::Status Bad(absl::string_view what) const {
    return FieldInvalid(absl::StrCat("line ", number_, " of the price file"), what);
  }

  absl::Status BeginVault(absl::string_view line) {
    const absl::string_view uri = line.substr(1, line.size() - 2);
    if (line.back() != ']' || !absl::StartsWith(uri, "https://")) {
      return Bad("must be [https://VAULT]");
    }
    const auto [vault, fresh] = list_.vaults.try_emplace(std::string(uri));
    if (!fresh) return Bad(absl::StrCat(uri, " has prices already"));
    into_ = &vault->second;
    return absl::OkStatus();
  }

  absl::Status ReadPrice(absl::string_view name, absl::string_view value) {
    const bool of_the_whole = into_ == &list_.prices;
    if (!IsIn(kOfAVault, name) && !(of_the_whole && IsIn(kOfTheService, name))) {
      return Bad(
          absl::StrCat("names no price", of_the_whole ? "" : " of a vault", ": \"", name, "\""));
    }
    double price = 0;
    if (!absl::SimpleAtod(value, &price) || !std::isfinite(price) || price < 0) {
      return Bad(absl::StrCat(name, " must be a number that is not negative"));
    }
    if (!into_->emplace(name, price).second) return Bad(absl::StrCat(name, " is given twice"));
    return absl::OkStatus();
  }

  PriceList list_;
  PriceList::Prices* into_ = &list_.prices;
  int number_ = 0;
};

}  // namespace

absl::StatusOr<PriceList> PriceList::Parse(absl::string_view text) {
  Reader reader;
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    CMK_RETURN_IF_ERROR(reader.ReadLine(line));
  }
  return std::move(reader).Finish();
}

absl::StatusOr<PriceList> PriceList::Read(const std::string& file) {
  const std::optional<std::string> text = ReadFile(file);
  if (!text.has_value()) return StateInvalid(absl::StrCat("cannot read ", file));
  return Parse(*text);
}

absl::Status PriceList::Require(const std::vector<absl::string_view>& names) const {
  for (const absl::string_view name : names) {
    if (!prices.contains(name)) {
      return FieldInvalid("the price file", absl::StrCat("must give ", name));
    }
  }
  return absl::OkStatus();
}

double PriceList::Of(absl::string_view name, absl::string_view vault_uri) const {
  if (const auto vault = vaults.find(vault_uri); vault != vaults.end()) {
    if (const auto own = vault->second.find(name); own != vault->second.end()) return own->second;
  }
  return prices.find(name)->second;
}

}  // namespace cmkstore::cli
