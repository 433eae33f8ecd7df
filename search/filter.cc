// filter     = sequence { "AND" sequence }
// sequence   = factor { factor }
// factor     = term { "OR" term }
// term       = [ "NOT" | "-" ] ( "(" filter ")" | comparison )
// comparison = field ( "=" | "!=" | "<" | "<=" | ">" | ">=" | ":" ) value
// value      = word | '"' text '"'

#include "search/filter.h"

#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/time/time.h"
#include "base/errors.h"
#include "base/status_macros.h"
#include "search/fields.h"

namespace cmkstore::search {
namespace {

constexpr size_t kMaxBytes = 2048;
constexpr int kMaxComparisons = 32;
constexpr int kMaxDepth = 16;

struct Literal {
  std::string text;
  bool quoted = false;
};

class Parser {
 public:
  Parser(absl::string_view text, bool by_label_index)
      : text_(text), by_label_index_(by_label_index) {}

  absl::StatusOr<Sql> Parse() {
    CMK_ASSIGN_OR_RETURN(Sql sql, Filter());
    SkipSpace();
    if (at_ < text_.size()) return Wrong("a closing parenthesis without an opening one");
    return sql;
  }

 private:
  absl::Status Wrong(absl::string_view what) const {
    return FieldInvalid("filter", absl::StrCat(what, ", at byte ", at_ + 1));
  }
  void SkipSpace() {
    while (at_ < text_.size() && absl::ascii_isspace(text_[at_])) ++at_;
  }
  static bool EndsWord(char c) {
    return absl::ascii_isspace(c) || absl::StrContains("()\"=!<>:", c);
  }
  absl::string_view PeekWord() {
    SkipSpace();
    size_t end = at_;
    while (end < text_.size() && !EndsWord(text_[end])) ++end;
    return text_.substr(at_, end - at_);
  }
  bool Keyword(absl::string_view word) {
    if (PeekWord() != word) return false;
    at_ += word.size();
    return true;
  }
  bool Symbol(absl::string_view symbol) {
    SkipSpace();
    if (!absl::StartsWith(text_.substr(at_), symbol)) return false;
    at_ += symbol.size();
    return true;
  }
  bool AtEnd() {
    SkipSpace();
    return at_ == text_.size() || text_[at_] == ')';
  }

  absl::StatusOr<Sql> Filter() {
    CMK_ASSIGN_OR_RETURN(Sql left, Sequence());
    while (Keyword("AND")) {
      CMK_ASSIGN_OR_RETURN(const Sql right, Sequence());
      left = Joined(std::move(left), " AND ", right);
    }
    return left;
  }
  absl::StatusOr<Sql> Sequence() {
    CMK_ASSIGN_OR_RETURN(Sql left, Factor());
    while (!AtEnd() && PeekWord() != "AND") {
      CMK_ASSIGN_OR_RETURN(const Sql right, Factor());
      left = Joined(std::move(left), " AND ", right);
    }
    return left;
  }
  absl::StatusOr<Sql> Factor() {
    CMK_ASSIGN_OR_RETURN(Sql left, Term());
    while (Keyword("OR")) {
      CMK_ASSIGN_OR_RETURN(const Sql right, Term());
      left = Joined(std::move(left), " OR ", right);
    }
    return left;
  }
  absl::StatusOr<Sql> Term() {
    if (Keyword("NOT") || Symbol("-")) {
      if (++depth_ > kMaxDepth) return Wrong("nested too deep");
      CMK_ASSIGN_OR_RETURN(const Sql inner, Term());
      --depth_;
      // Null (no such field) is false, so that its NOT is true.
      Sql sql{"NOT coalesce(", {}};
      sql.Append(inner);
      sql.text += ", 0)";
      return sql;
    }
    if (!Symbol("(")) return Comparison();
    if (++depth_ > kMaxDepth) return Wrong("nested too deep");
    CMK_ASSIGN_OR_RETURN(Sql inner, Filter());
    if (!Symbol(")")) return Wrong("a parenthesis is not closed");
    --depth_;
    return inner;
  }
  static Sql Joined(Sql left, absl::string_view operation, const Sql& right) {
    left.text = absl::StrCat("(", left.text, operation);
    left.Append(right);
    left.text += ")";
    return left;
  }

  absl::StatusOr<Sql> Comparison() {
    if (++comparisons_ > kMaxComparisons) return Wrong("more than 32 comparisons");
    CMK_ASSIGN_OR_RETURN(const Field field, FieldName());
    for (absl::string_view operation : {"!=", "<=", ">=", "=", "<", ">", ":"}) {
      if (!Symbol(operation)) continue;
      CMK_ASSIGN_OR_RETURN(const Literal value, Value());
      return Compare(field, operation, value);
    }
    return Wrong("one of = != < <= > >= : is needed after a field");
  }
  absl::StatusOr<Field> FieldName() {
    std::vector<std::string> steps;
    SkipSpace();
    std::string step;
    for (;;) {
      if (at_ < text_.size() && text_[at_] == '"') {
        CMK_ASSIGN_OR_RETURN(step, Quoted());
      } else {
        step.clear();
        while (at_ < text_.size() && !EndsWord(text_[at_]) && text_[at_] != '.')
          step += text_[at_++];
      }
      if (step.empty()) return Wrong("a field is missing");
      steps.push_back(step);
      if (at_ == text_.size() || text_[at_] != '.') break;
      ++at_;
    }
    return ToField(steps, "filter");
  }
  absl::StatusOr<std::string> Quoted() {
    std::string text;
    for (++at_; at_ < text_.size(); ++at_) {
      if (text_[at_] == '"') {
        ++at_;
        return text;
      }
      if (text_[at_] == '\\' && at_ + 1 < text_.size()) ++at_;
      text += text_[at_];
    }
    return Wrong("a quotation mark is not closed");
  }
  absl::StatusOr<Literal> Value() {
    SkipSpace();
    if (at_ < text_.size() && text_[at_] == '"') {
      CMK_ASSIGN_OR_RETURN(std::string text, Quoted());
      return Literal{std::move(text), true};
    }
    std::string word;  // a bare time has colons
    while (at_ < text_.size() && (!EndsWord(text_[at_]) || text_[at_] == ':')) word += text_[at_++];
    if (word.empty()) return Wrong("a value is missing");
    return Literal{std::move(word), false};
  }

  absl::StatusOr<Sql> Compare(const Field& field, absl::string_view operation,
                              const Literal& value) {
    if (operation == ":") return Has(field, value);
    if (field.kind == FieldKind::kTime) {
      absl::Time time;
      std::string error;
      if (!absl::ParseTime(absl::RFC3339_full, value.text, &time, &error)) {
        return Wrong("a time such as \"2026-01-31T00:00:00Z\" is needed");
      }
      return Binary(ValueOf(field), operation, absl::ToUnixMicros(time));
    }
    const bool equality = operation == "=" || operation == "!=";
    if (field.kind == FieldKind::kContent && !value.quoted) {
      int64_t whole = 0;
      double real = 0;
      if (value.text == "true" || value.text == "false") {
        return Binary(ValueOf(field), operation, int64_t{value.text == "true"});
      }
      if (absl::SimpleAtoi(value.text, &whole)) return Binary(ValueOf(field), operation, whole);
      if (absl::SimpleAtod(value.text, &real)) return Binary(ValueOf(field), operation, real);
    }
    if (equality && value.text.size() > 1 &&
        (value.text.front() == '*' || value.text.back() == '*')) {
      return Like(ValueOf(field), operation == "!=", value.text);
    }
    if (by_label_index_ && field.kind == FieldKind::kLabel && operation == "=") {
      return Sql{"d.id IN (SELECT doc FROM labels WHERE name = ? AND value = ?)",
                 {field.steps[0], value.text}};
    }
    return Binary(ValueOf(field), operation, value.text);
  }
  static Sql Binary(Sql left, absl::string_view operation, SqlValue value) {
    left.text = absl::StrCat("(", left.text, " ", operation, " ?)");
    left.values.push_back(std::move(value));
    return left;
  }
  static Sql Like(Sql left, bool negated, absl::string_view pattern) {
    const bool open_begin = pattern.front() == '*', open_end = pattern.back() == '*';
    pattern.remove_prefix(open_begin ? 1 : 0);
    pattern.remove_suffix(open_end && !pattern.empty() ? 1 : 0);
    // GLOB: case counts; its own special characters are put in brackets.
    const std::string body =
        absl::StrReplaceAll(pattern, {{"[", "[[]"}, {"*", "[*]"}, {"?", "[?]"}});
    left.text = absl::StrCat("(", left.text, negated ? " NOT GLOB ?)" : " GLOB ?)");
    left.values.push_back(absl::StrCat(open_begin ? "*" : "", body, open_end ? "*" : ""));
    return left;
  }
  absl::StatusOr<Sql> Has(const Field& field, const Literal& value) {
    if (value.text == "*" && !value.quoted) {
      Sql sql{"(", {}};
      sql.Append(ValueOf(field));
      sql.text += " IS NOT NULL)";
      return sql;
    }
    if (field.kind == FieldKind::kTime) return Wrong("a time field takes no : but :*");
    if (field.kind != FieldKind::kContent) {
      Sql sql{"(instr(", {}};
      sql.Append(ValueOf(field));
      sql.text += ", ?) > 0)";
      sql.values.push_back(value.text);
      return sql;
    }
    // An array is walked by its elements, a scalar is its own only element.
    return Sql{
        "EXISTS (SELECT 1 FROM texts x, json_each(x.content, ?) e WHERE x.id = d.id AND "
        "(CAST(e.value AS TEXT) = ? OR (json_type(x.content, ?) = 'text' AND instr(e.value, ?) > "
        "0)))",
        {JsonPath(field), value.text, JsonPath(field), value.text}};
  }

  const absl::string_view text_;
  const bool by_label_index_;
  size_t at_ = 0;
  int comparisons_ = 0;
  int depth_ = 0;
};

}  // namespace

absl::StatusOr<Sql> ToSqlCondition(absl::string_view filter, bool by_label_index) {
  if (filter.size() > kMaxBytes) return FieldInvalid("filter", "must be at most 2048 bytes");
  return Parser(filter, by_label_index).Parse();
}

}  // namespace cmkstore::search
