#include "service/status_page.h"

#include <iterator>
#include <nlohmann/json.hpp>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"

namespace cmkstore::service {
namespace {

using nlohmann::ordered_json;

constexpr char kHead[] = R"(<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>cmkstored status</title>
<meta name="viewport" content="width=device-width">
<style>
body { font: 15px/1.4 system-ui, sans-serif; margin: 2em auto; max-width: 60em; padding: 0 1em; color: #222 }
h1 { font-size: 1.4em } h2 { font-size: 1.1em; margin: 1.5em 0 .4em }
table { border-collapse: collapse } th { font-weight: 600 }
th, td { text-align: left; padding: .2em 1.2em .2em 0; border-bottom: 1px solid #ddd; vertical-align: top }
td { font-variant-numeric: tabular-nums }
@media (prefers-color-scheme: dark) { body { background: #181818; color: #ddd } th, td { border-color: #444 } }
</style></head><body>
<h1>cmkstored</h1>
)";

std::string Escaped(absl::string_view text) {
  return absl::StrReplaceAll(text,
                             {{"&", "&amp;"}, {"<", "&lt;"}, {">", "&gt;"}, {"\"", "&quot;"}});
}

// A size says its unit by itself.
std::string Words(absl::string_view name) {
  return absl::StrReplaceAll(absl::StripSuffix(name, "_bytes"), {{"_", " "}});
}

std::string SizeOf(uint64_t bytes) {
  static constexpr const char* kUnits[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
  double size = static_cast<double>(bytes);
  size_t unit = 0;
  while (size >= 1024 && unit + 1 < std::size(kUnits)) {
    size /= 1024;
    ++unit;
  }
  return absl::StrFormat("%.*f %s", unit == 0 ? 0 : 1, size, kUnits[unit]);
}

std::string ValueOf(const std::string& name, const ordered_json& value) {
  if (absl::EndsWith(name, "_bytes") && value.is_number_unsigned()) {
    return SizeOf(value.get<uint64_t>());
  }
  return Escaped(value.is_string() ? value.get<std::string>() : value.dump());
}

void AppendRow(const std::string& name, const ordered_json& value, std::string& page) {
  absl::StrAppend(&page, "<tr><th scope=\"row\">", Escaped(Words(name)), "</th><td>",
                  ValueOf(name, value), "</td></tr>\n");
}

void AppendList(const ordered_json& list, std::string& page) {
  if (list.empty()) return;
  absl::StrAppend(&page, "<tr>");
  for (const auto& [name, value] : list.front().items()) {
    absl::StrAppend(&page, "<th scope=\"col\">", Escaped(Words(name)), "</th>");
  }
  absl::StrAppend(&page, "</tr>\n");
  for (const ordered_json& entry : list) {
    absl::StrAppend(&page, "<tr>");
    for (const auto& [name, value] : entry.items()) {
      absl::StrAppend(&page, "<td>", ValueOf(name, value), "</td>");
    }
    absl::StrAppend(&page, "</tr>\n");
  }
}

}  // namespace

std::string StatusPage(absl::string_view status_json) {
  std::string page = kHead;
  const ordered_json status = ordered_json::parse(status_json, nullptr, false);
  absl::StrAppend(&page, "<table>\n");
  for (const auto& [name, value] : status.items()) {
    if (!value.is_structured()) AppendRow(name, value, page);
  }
  absl::StrAppend(&page, "</table>\n");
  for (const auto& [name, section] : status.items()) {
    if (!section.is_structured()) continue;
    absl::StrAppend(&page, "<h2>", Escaped(Words(name)), "</h2>\n<table>\n");
    if (section.is_array()) {
      AppendList(section, page);
    } else {
      for (const auto& [row, value] : section.items()) AppendRow(row, value, page);
    }
    absl::StrAppend(&page, "</table>\n");
  }
  return page +
         "<p><a href=\"?format=json\">As JSON</a> · <a "
         "href=\"/metrics\">Metrics</a></p>\n</body></html>\n";
}

}  // namespace cmkstore::service
