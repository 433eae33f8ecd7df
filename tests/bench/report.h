#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/bench/suite.h"

namespace cmkstore::bench {

// All that was measured, as JSON and as the table that people read.
class Report {
 public:
  void Add(std::vector<Measured> measured);
  // The measured case; must be there.
  const Measured& Find(const std::string& name, const std::string& transport, int in_flight) const;
  // Sets a top-level member of the JSON.
  void Set(const std::string& name, nlohmann::json value) { facts_[name] = std::move(value); }
  // Sets `name` to {"1": …, "16": …, "64": …}: the ratio of two cases of one transport each.
  void SetRatios(const std::string& name, const std::string& of, const std::string& transport,
                 const std::string& over, const std::string& over_transport);

  nlohmann::json ToJson() const;
  // Markdown.
  std::string ToTable() const;

 private:
  std::vector<Measured> cases_;
  nlohmann::json facts_ = nlohmann::json::object();
};

inline constexpr int kInFlight[] = {1, 16, 64};

}  // namespace cmkstore::bench
