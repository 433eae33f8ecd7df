#include "tests/reliability/result.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "absl/strings/str_format.h"
#include "base/file.h"

namespace cmkstore::reliability {

using nlohmann::json;

namespace {

// Counts and seeds by every digit, so that a seed can be given again; else six digits will do.
std::string Shown(double figure) {
  const bool whole = figure == std::floor(figure) && std::abs(figure) < 1e15;
  return whole ? absl::StrFormat("%.0f", figure) : absl::StrFormat("%.6g", figure);
}

}  // namespace

void Result::AtMost(const std::string& what, double measured, double limit) {
  figures_.push_back({what, measured, "<=", limit, measured <= limit});
}

void Result::AtLeast(const std::string& what, double measured, double limit) {
  figures_.push_back({what, measured, ">=", limit, measured >= limit});
}

void Result::Exactly(const std::string& what, double measured, double wanted) {
  figures_.push_back({what, measured, "==", wanted, measured == wanted});
}

void Result::Note(const std::string& what, double measured) {
  figures_.push_back({what, measured, "", 0, true});
}

int Result::Finish(const std::string& json_file) const {
  json rows = json::array();
  for (const Figure& figure : figures_) {
    const bool noted = figure.relation.empty();
    std::printf("%-6s %-56s %12s %2s %s\n",
                noted         ? ""
                : figure.kept ? "ok"
                              : "MISSED",
                figure.what.c_str(), Shown(figure.measured).c_str(), figure.relation.c_str(),
                noted ? "" : Shown(figure.limit).c_str());
    json row = {{"what", figure.what}, {"measured", figure.measured}};
    if (!noted) {
      row["relation"] = figure.relation;
      row["limit"] = figure.limit;
      row["kept"] = figure.kept;
    }
    rows.push_back(std::move(row));
  }
  const auto missed = std::count_if(figures_.begin(), figures_.end(),
                                    [](const Figure& figure) { return !figure.kept; });
  std::printf("%s %s: %s\n", id_.c_str(), program_.c_str(), missed == 0 ? "passed" : "FAILED");
  const json report = {
      {"id", id_}, {"program", program_}, {"passed", missed == 0}, {"figures", rows}};
  if (!json_file.empty() && !WriteFileDurably(json_file, report.dump(2) + "\n")) {
    std::fprintf(stderr, "%s: the report cannot be written\n", program_.c_str());
    return 2;
  }
  return missed == 0 ? 0 : 1;
}

}  // namespace cmkstore::reliability
