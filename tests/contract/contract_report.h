#pragma once

#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "tests/contract/contract_cases.h"

namespace cmkstore::contract {

// What a vault is known to answer otherwise than the contract: case name -> meaning. Expectations,
// not skips: the case runs, and another answer than the one named fails.
struct Profile {
  std::string name = "azure";
  std::map<std::string, std::string> differences;
};

// {"name": "…", "differences": {"disabled_wrap": "denied/KeyDisabled", …}}. Errors: FIELD_INVALID.
absl::StatusOr<Profile> ReadProfile(const std::string& path);

struct Report {
  std::string table;
  std::string json;
  int failed = 0;  // cases that came out otherwise than contract and profile say
};
Report MakeReport(const std::string& vault, const Profile& profile,
                  const std::vector<CaseResult>& results);

}  // namespace cmkstore::contract
