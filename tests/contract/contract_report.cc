#include "tests/contract/contract_report.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/errors.h"
#include "base/file.h"

namespace cmkstore::contract {
namespace {

using nlohmann::json;

// What a vault has said, for a terminal: one line, and nothing that would drive it.
std::string Shown(std::string text) {
  for (char& c : text) {
    if (absl::ascii_iscntrl(static_cast<unsigned char>(c))) c = ' ';
  }
  return text;
}

std::string Observed(const CaseResult& result) {
  std::string text = result.observed.empty() ? "-" : result.observed;
  if (result.observed == kNotSetUp) absl::StrAppend(&text, ": ", result.detail);
  if (result.late_looks > 0) {
    absl::StrAppend(&text, " (the change was not seen at the first ", result.late_looks, " looks)");
  }
  return Shown(std::move(text));
}

const char* Verdict(const Profile& profile, const CaseResult& result) {
  if (result.observed.empty()) return "n/a";
  const auto known = profile.differences.find(result.name);
  if (known == profile.differences.end()) {
    return result.observed == result.expected ? "ok" : "FAILED";
  }
  return result.observed == known->second ? "known" : "FAILED";
}

// What was tried, for whoever looks into a case that failed.
std::string Miss(const Profile& profile, const CaseResult& result) {
  const auto known = profile.differences.find(result.name);
  return Shown(known == profile.differences.end()
                   ? result.situation
                   : absl::StrCat(result.situation, "; the profile expects ", known->second));
}

}  // namespace

absl::StatusOr<Profile> ReadProfile(const std::string& path) {
  const json file = json::parse(ReadFile(path).value_or(""), nullptr, false);
  if (!file.is_object() || !file.contains("differences") || !file["differences"].is_object()) {
    return FieldInvalid("profile", "must be JSON with an object `differences`");
  }
  Profile profile;
  const auto name = file.find("name");
  if (name != file.end() && !name->is_string()) {
    return FieldInvalid("profile", "its name must be a string");
  }
  profile.name = name == file.end() ? path : name->get<std::string>();
  for (const auto& [difference, meaning] : file["differences"].items()) {
    if (!meaning.is_string()) return FieldInvalid("profile", "a difference must be a string");
    profile.differences[difference] = meaning.get<std::string>();
  }
  return profile;
}

Report MakeReport(const std::string& vault, const Profile& profile,
                  const std::vector<CaseResult>& results) {
  Report report;
  json cases = json::array();
  int late = 0;
  absl::StrAppendFormat(&report.table, "%-7s %-30s %-32s %s\n", "", "case", "contract", "observed");
  for (const CaseResult& result : results) {
    const std::string verdict = Verdict(profile, result);
    report.failed += verdict == "FAILED" ? 1 : 0;
    absl::StrAppendFormat(&report.table, "%-7s %-30s %-32s %s\n", verdict, result.name,
                          result.expected, Observed(result));
    if (verdict == "FAILED") {
      absl::StrAppend(&report.table, "        ", Miss(profile, result), "\n");
    }
    late += result.late_looks > 0 ? 1 : 0;
    cases.push_back({{"case", result.name},
                     {"situation", result.situation},
                     {"contract", result.expected},
                     {"observed", result.observed},
                     {"detail", result.detail},
                     {"late_looks", result.late_looks},
                     {"verdict", verdict}});
    if (const auto known = profile.differences.find(result.name);
        known != profile.differences.end()) {
      cases.back()["profile"] = known->second;
    }
  }
  for (const auto& [name, meaning] : profile.differences) {
    const bool known = std::any_of(results.begin(), results.end(),
                                   [&](const CaseResult& one) { return one.name == name; });
    if (known) continue;
    ++report.failed;
    absl::StrAppend(&report.table, "FAILED  the profile names no case of the contract: ", name,
                    "\n");
  }
  absl::StrAppendFormat(&report.table, "%d cases, %d not as expected by profile %s\n",
                        results.size(), report.failed, profile.name);
  if (late > 0) {
    absl::StrAppendFormat(&report.table, "%d changes were not seen at once\n", late);
  }
  const json whole = {{"vault", vault},
                      {"profile", profile.name},
                      {"failed", report.failed},
                      {"changes_seen_late", late},
                      {"cases", cases}};
  // A vault's words may be of any bytes, and are cut anywhere.
  report.json = whole.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
  return report;
}

}  // namespace cmkstore::contract
