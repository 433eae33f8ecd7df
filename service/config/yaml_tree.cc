#include "service/config/yaml_tree.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <sstream>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/errors.h"

namespace cmkstore::service {
namespace {

constexpr size_t kMaxBytes = 256u << 10;
constexpr size_t kMaxNodes = 10'000;
constexpr size_t kMaxDepth = 16;

absl::Status Refused(int line, int column, absl::string_view what) {
  return ConfigInvalid(absl::StrCat(line, ":", column, ": ", what));
}

// Ends the parse from within a callback; caught in ParseYaml.
struct Refusal {
  absl::Status status;
};

// Builds the tree from the parser's events, so that aliases are refused before they are followed.
class TreeBuilder final : public YAML::EventHandler {
 public:
  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    Add(Make(YamlNode::Kind::kNull, mark, "", anchor));
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    Refuse(mark, "aliases are not taken; write the value itself");
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    YamlNode node = Make(YamlNode::Kind::kScalar, mark, tag, anchor);
    node.text = value;
    Add(std::move(node));
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    Open(Make(YamlNode::Kind::kSequence, mark, tag, anchor));
  }
  void OnSequenceEnd() override { Close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    Open(Make(YamlNode::Kind::kMap, mark, tag, anchor));
  }
  void OnMapEnd() override { Close(); }

  YamlNode TakeRoot() { return std::move(root_); }

 private:
  [[noreturn]] static void Refuse(const YAML::Mark& mark, absl::string_view what) {
    throw Refusal{Refused(mark.line + 1, mark.column + 1, what)};
  }

  YamlNode Make(YamlNode::Kind kind, const YAML::Mark& mark, const std::string& tag,
                YAML::anchor_t anchor) {
    if (anchor != 0) Refuse(mark, "anchors are not taken; write the value where it is used");
    // "?" is a plain value, "!" a quoted one.
    if (!tag.empty() && tag != "?" && tag != "!") Refuse(mark, "tags such as !!str are not taken");
    if (++nodes_ > kMaxNodes) Refuse(mark, "more than 10,000 values");
    YamlNode node;
    node.kind = kind;
    node.line = mark.line + 1;
    node.column = mark.column + 1;
    return node;
  }

  void Open(YamlNode node) {
    if (open_.size() >= kMaxDepth) {
      throw Refusal{Refused(node.line, node.column, "nested more than 16 deep")};
    }
    open_.push_back(std::move(node));
  }

  void Close() {
    YamlNode node = std::move(open_.back());
    open_.pop_back();
    Add(std::move(node));
  }

  void Add(YamlNode node) {
    if (open_.empty()) {
      root_ = std::move(node);
      return;
    }
    YamlNode& parent = open_.back();
    const bool is_key =
        parent.kind == YamlNode::Kind::kMap && parent.keys.size() == parent.items.size();
    if (!is_key) {
      parent.items.push_back(std::move(node));
      return;
    }
    if (node.kind != YamlNode::Kind::kScalar) {
      throw Refusal{Refused(node.line, node.column, "an option's name must be plain text")};
    }
    for (const YamlNode& key : parent.keys) {
      if (key.text == node.text) {
        throw Refusal{Refused(node.line, node.column,
                              absl::StrCat(node.text, " is set twice, first in line ", key.line))};
      }
    }
    parent.keys.push_back(std::move(node));
  }

  std::vector<YamlNode> open_;
  YamlNode root_;
  size_t nodes_ = 0;
};

// Whether a tab stands before the first word of a line, which YAML does not take for indentation.
bool IsIndentedByTab(absl::string_view text, int line) {
  const std::vector<absl::string_view> lines = absl::StrSplit(text, '\n');
  if (line < 0 || static_cast<size_t>(line) >= lines.size()) return false;
  const absl::string_view indent = lines[line].substr(0, lines[line].find_first_not_of(" \t"));
  return absl::StrContains(indent, '\t');
}

}  // namespace

absl::StatusOr<YamlNode> ParseYaml(absl::string_view text) {
  if (text.size() > kMaxBytes) return Refused(1, 1, "longer than 256 KiB");
  TreeBuilder builder;
  try {
    std::istringstream stream{std::string(text)};
    YAML::Parser parser(stream);
    parser.HandleNextDocument(builder);
    YamlNode root = builder.TakeRoot();
    TreeBuilder rest;
    if (parser.HandleNextDocument(rest)) {
      const YamlNode second = rest.TakeRoot();
      return Refused(second.line, second.column, "a second YAML document; keep one");
    }
    return root;
  } catch (const Refusal& refusal) {
    return refusal.status;
  } catch (const YAML::Exception& error) {
    const bool tab = IsIndentedByTab(text, error.mark.line);
    return Refused(std::max(error.mark.line, 0) + 1, std::max(error.mark.column, 0) + 1,
                   tab ? "not YAML: a tab may not indent; write spaces"
                       : absl::StrCat("not YAML: ", error.msg));
  }
}

}  // namespace cmkstore::service
