#include "cli/number_checks.h"

#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace cmkstore::cli {
namespace {

constexpr double kMaxAmount = 1e18;

}  // namespace

CLI::Validator WholeNumber(uint64_t at_least, uint64_t at_most) {
  const bool open = at_most == std::numeric_limits<uint64_t>::max();
  const std::string range =
      open ? absl::StrCat("from ", at_least, " on") : absl::StrCat(at_least, " to ", at_most);
  return CLI::Validator(
      [=](std::string& text) -> std::string {
        uint64_t number = 0;
        if (absl::SimpleAtoi(text, &number) && number >= at_least && number <= at_most) return "";
        return absl::StrCat("must be a whole number ", range, ", not \"", text, "\"");
      },
      /*validator_desc=*/"");
}

CLI::Validator Amount() {
  return CLI::Validator(
      [](std::string& text) -> std::string {
        double number = -1;
        if (absl::SimpleAtod(text, &number) && number >= 0 && number <= kMaxAmount) return "";
        return absl::StrCat("must be a number from 0 to 1e18, not \"", text, "\"");
      },
      /*validator_desc=*/"");
}

}  // namespace cmkstore::cli
