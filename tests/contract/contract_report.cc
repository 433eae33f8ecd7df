#include "tests/contract/contract_report.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/errors.h"
#include "base/file.h"

namespace cmkstore::contract {
namespace {

using nlohmann::json;

const char* Verdict(const Profile& profile, const CaseResult& result) {
  if (result.observed.empty()) return "n/a";
  const auto known = profile.differences.find(result.name);
  if (known == profile.differences.end()) {
    return result.observed == result.expected ? "ok" : "FAILED";
  }
  return result.observed == known->second ? "known" : "FAILED";
}

}  // namespace

absl::StatusOr<Profile> ReadProfile(const std::string& path) {
  const json file = json::parse(ReadFile(path).value_or(""), nullptr, false);
  if (!file.is_object() || !file.contains("differences") || !file["differences"].is_object()) {
    return FieldInvalid("profile", "must be JSON with an object `differences`");
  }
  Profile profile;
  profile.name = file.value("name", path);
  for (const auto& [name, meaning] : file["differences"].items()) {
    if (!meaning.is_string()) return FieldInvalid("profile", "a difference must be a string");
    profile.differences[name] = meaning.get<std::string>();
  }
  return profile;
}

Report MakeReport(const std::string& vault, const Profile& profile,
                  const std::vector<CaseResult>& results) {
  Report report;
  json cases = json::array();
  absl::StrAppendFormat(&report.table, "%-7s %-30s %-32s %s\n", "", "case", "contract", "observed");
  for (const CaseResult& result : results) {
    const std::string verdict = Verdict(profile, result);
    report.failed += verdict == "FAILED" ? 1 : 0;
    absl::StrAppendFormat(&report.table, "%-7s %-30s %-32s %s\n", verdict, result.name,
                          result.expected, result.observed.empty() ? "-" : result.observed);
    cases.push_back({{"case", result.name},
                     {"situation", result.situation},
                     {"contract", result.expected},
                     {"observed", result.observed},
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
  report.json =
      json{{"vault", vault}, {"profile", profile.name}, {"failed", report.failed}, {"cases", cases}}
          .dump(2) +
      "\n";
  return report;
}

}  // namespace cmkstore::contract
