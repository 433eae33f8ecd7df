#include "cli/profile.h"

#include <cstdlib>
#include <filesystem>
#include <map>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "base/errors.h"
#include "base/file.h"

namespace cmkstore::cli {
namespace {

struct Field {
  std::string ConnectionOptions::*member;
  bool is_path;
};

const std::map<std::string, Field>& Fields() {
  static const auto& fields = *new std::map<std::string, Field>{
      {"endpoint", {&ConnectionOptions::endpoint, false}},
      {"ca", {&ConnectionOptions::ca, true}},
      {"cert", {&ConnectionOptions::cert, true}},
      {"key", {&ConnectionOptions::key, true}},
      {"token_file", {&ConnectionOptions::token_file, true}},
      {"tenant", {&ConnectionOptions::tenant, false}},
      {"timeout", {&ConnectionOptions::timeout, false}},
  };
  return fields;
}

std::string HomeFolder() {
  const char* home = std::getenv("HOME");
  return home == nullptr ? "" : home;
}

std::string ResolvePath(const std::string& path, const std::string& file) {
  if (absl::StartsWith(path, "~/")) return HomeFolder() + path.substr(1);
  return (std::filesystem::path(file).parent_path() / path).string();
}

}  // namespace

absl::Status ApplyProfile(absl::string_view text, const std::string& file, const std::string& name,
                          ConnectionOptions& options) {
  std::vector<std::string> sections;
  std::string section;
  int number = 0;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    ++number;
    line = absl::StripAsciiWhitespace(line);
    if (line.empty() || line[0] == '#' || line[0] == ';') continue;
    const auto wrong = [&](absl::string_view why) {
      return StateInvalid(absl::StrCat(file, ":", number, ": ", why));
    };
    if (line.front() == '[') {
      if (line.back() != ']') return wrong("a profile begins with [NAME]");
      section = std::string(absl::StripAsciiWhitespace(line.substr(1, line.size() - 2)));
      sections.push_back(section);
      continue;
    }
    const std::vector<std::string> parts = absl::StrSplit(line, absl::MaxSplits('=', 1));
    const std::string key(absl::StripAsciiWhitespace(parts[0]));
    const auto field = Fields().find(key);
    if (parts.size() != 2 || field == Fields().end()) {
      const auto name_of = [](std::string* out, const auto& one) { out->append(one.first); };
      return wrong(absl::StrCat("must be KEY = VALUE with a KEY of ",
                                absl::StrJoin(Fields(), ", ", name_of)));
    }
    if (section.empty()) return wrong("stands before the first [NAME]");
    std::string& value = options.*field->second.member;
    if (section != name || !value.empty()) continue;
    value = std::string(absl::StripAsciiWhitespace(parts[1]));
    if (field->second.is_path && !value.empty()) value = ResolvePath(value, file);
  }
  for (const std::string& known : sections) {
    if (known == name) return absl::OkStatus();
  }
  return StateInvalid(absl::StrCat("no profile [", name, "] in ", file, "; it has: ",
                                   sections.empty() ? "none" : absl::StrJoin(sections, ", ")));
}

absl::Status LoadProfile(ConnectionOptions& options) {
  const bool file_given = !options.profile_file.empty();
  const std::string file =
      file_given ? options.profile_file : HomeFolder() + "/.config/cmkstore/profiles.ini";
  const auto text = ReadFile(file);
  if (!text.has_value()) {
    if (!file_given && options.profile.empty()) return absl::OkStatus();
    return StateInvalid(absl::StrCat("cannot read the profile file ", file));
  }
  if (!options.profile.empty()) return ApplyProfile(*text, file, options.profile, options);
  const std::string with_default = absl::StrCat(*text, "\n[default]\n");
  return ApplyProfile(with_default, file, "default", options);
}

}  // namespace cmkstore::cli
