#include "service/config/config_reader.h"

#include <algorithm>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "base/errors.h"
#include "service/config/config_value.h"
#include "service/config/yaml_tree.h"

namespace cmkstore::service {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

constexpr size_t kMaxProblems = 20;
constexpr char kOneOfDefaults[] = "[{}]";

size_t EditDistance(absl::string_view a, absl::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = std::exchange(row[0], i);
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({replaced, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row[b.size()];
}

std::string Suggest(const Descriptor& section, absl::string_view unknown) {
  std::vector<std::string> names;
  std::string nearest;
  size_t distance = 4;
  for (int i = 0; i < section.field_count(); ++i) {
    const std::string& name = section.field(i)->name();
    names.push_back(name);
    // Long names are no neighbours of any option.
    const size_t away = unknown.size() > 64 ? distance : EditDistance(unknown, name);
    if (away < distance) {
      distance = away;
      nearest = name;
    }
  }
  if (!nearest.empty()) return absl::StrCat("no such option; did you mean ", nearest, "?");
  return absl::StrCat("no such option; here there are: ", absl::StrJoin(names, ", "));
}

std::string Join(absl::string_view path, absl::string_view name) {
  return path.empty() ? std::string(name) : absl::StrCat(path, ".", name);
}

class Reader {
 public:
  explicit Reader(LoadedConfig& loaded) : loaded_(loaded) {}

  void ReadSection(const YamlNode& node, const std::string& path, Message& message) {
    if (node.kind == YamlNode::Kind::kNull) return;
    if (node.kind != YamlNode::Kind::kMap) {
      return Report(node, path,
                    path.empty() ? "the file must be a mapping: write options as NAME: VALUE lines"
                                 : "write its options below it, as NAME: VALUE lines");
    }
    for (size_t i = 0; i < node.keys.size(); ++i) {
      const std::string& name = node.keys[i].text;
      const std::string at = Join(path, name);
      const FieldDescriptor* field = message.GetDescriptor()->FindFieldByName(name);
      if (field == nullptr) {
        Report(node.keys[i], at, Suggest(*message.GetDescriptor(), name));
        continue;
      }
      loaded_.places.emplace(at, std::pair(node.keys[i].line, node.keys[i].column));
      if (field->is_repeated()) {
        ReadList(*field, node.items[i], at, message);
      } else if (IsSection(*field)) {
        ReadSection(node.items[i], at, *message.GetReflection()->MutableMessage(&message, field));
      } else {
        ReadValue(*field, node.items[i], at, message);
      }
    }
  }

  const std::vector<ConfigProblem>& problems() const { return problems_; }

 private:
  void ReadList(const FieldDescriptor& field, const YamlNode& node, const std::string& path,
                Message& message) {
    if (node.kind == YamlNode::Kind::kNull) return;
    if (node.kind != YamlNode::Kind::kSequence) {
      return Report(node, path, "it is a list; write each entry on a line that begins with `- `");
    }
    // It would be filled with the default, so that nothing would be everything.
    if (node.items.empty() && !SettingOf(field).default_().empty()) {
      return Report(node, path, "it is empty; write at least one entry, or leave the option out");
    }
    for (size_t i = 0; i < node.items.size(); ++i) {
      const std::string at = absl::StrCat(path, "[", i, "]");
      loaded_.places.emplace(at, std::pair(node.items[i].line, node.items[i].column));
      if (IsSection(field)) {
        ReadSection(node.items[i], at, *message.GetReflection()->AddMessage(&message, &field));
      } else {
        ReadValue(field, node.items[i], at, message);
      }
    }
  }

  void ReadValue(const FieldDescriptor& field, const YamlNode& node, const std::string& path,
                 Message& message) {
    if (node.kind != YamlNode::Kind::kScalar) {
      const bool empty = node.kind == YamlNode::Kind::kNull;
      return Report(node, path,
                    absl::StrCat(empty ? "it has no value" : "it is one value, not several",
                                 "; write ", KindOf(field)));
    }
    if (const auto problem = SetValue(field, node.text, message)) Report(node, path, *problem);
  }

  void Report(const YamlNode& node, const std::string& path, std::string message) {
    // Where nothing is written, the parser has seen the next line already: keep the name's place.
    if (node.kind != YamlNode::Kind::kNull) loaded_.places[path] = {node.line, node.column};
    problems_.push_back({path, std::move(message)});
  }

  LoadedConfig& loaded_;
  std::vector<ConfigProblem> problems_;
};

void FillSection(Message& message) {
  const google::protobuf::Reflection& reflection = *message.GetReflection();
  for (int i = 0; i < message.GetDescriptor()->field_count(); ++i) {
    const FieldDescriptor& field = *message.GetDescriptor()->field(i);
    const std::string& value = SettingOf(field).default_();
    if (field.is_repeated()) {
      const bool unset = reflection.FieldSize(message, &field) == 0 && !value.empty();
      if (unset && value == kOneOfDefaults) reflection.AddMessage(&message, &field);
      if (unset && value != kOneOfDefaults) {
        for (absl::string_view one : absl::StrSplit(value, ", ")) SetValue(field, one, message);
      }
      if (!IsSection(field)) continue;
      for (int one = 0; one < reflection.FieldSize(message, &field); ++one) {
        FillSection(*reflection.MutableRepeatedMessage(&message, &field, one));
      }
    } else if (IsSection(field)) {
      FillSection(*reflection.MutableMessage(&message, &field));
    } else if (!reflection.HasField(message, &field) && !value.empty()) {
      SetValue(field, value == "''" ? "" : value, message);
    }
  }
}

}  // namespace

absl::StatusOr<LoadedConfig> ReadConfig(const std::string& file, absl::string_view text) {
  const absl::StatusOr<YamlNode> root = ParseYaml(text);
  if (!root.ok()) return ConfigInvalid(absl::StrCat(file, ":", root.status().message()));
  LoadedConfig loaded;
  loaded.file = file;
  loaded.text = std::string(text);
  Reader reader(loaded);
  reader.ReadSection(*root, "", loaded.config);
  if (!reader.problems().empty()) return ToStatus(loaded, reader.problems());
  FillDefaults(loaded.config);
  return loaded;
}

config::v1::Config DefaultConfig() {
  config::v1::Config config;
  FillDefaults(config);
  return config;
}

void FillDefaults(config::v1::Config& config) { FillSection(config); }

absl::Status ToStatus(const LoadedConfig& loaded, const std::vector<ConfigProblem>& problems) {
  if (problems.empty()) return absl::OkStatus();
  std::vector<std::string> lines;
  for (const ConfigProblem& problem : problems) {
    if (lines.size() == kMaxProblems) {
      lines.push_back(absl::StrCat("and ", problems.size() - kMaxProblems, " more"));
      break;
    }
    std::string at = problem.path;
    while (!at.empty() && !loaded.places.contains(at)) {
      const size_t cut = at.find_last_of(".[");
      at.resize(cut == std::string::npos ? 0 : cut);
    }
    const auto [line, column] = at.empty() ? std::pair(1, 1) : loaded.places.at(at);
    std::string where;
    if (!loaded.file.empty()) where = absl::StrCat(loaded.file, ":", line, ":", column, ": ");
    if (!problem.path.empty()) absl::StrAppend(&where, problem.path, ": ");
    lines.push_back(where + problem.message);
  }
  return ConfigInvalid(absl::StrJoin(lines, "\n"));
}

}  // namespace cmkstore::service
