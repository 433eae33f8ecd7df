// filter     = sequence { "AND" sequence }
// sequence   = factor { factor }
// factor     = term { "OR" term }
// term       = [ "NOT" | "-" ] ( "(" filter ")" | comparison )
// comparison = field ( "=" | "!=" | "<" | "<=" | ">" | ">=" | ":" ) value
// value      = word | '"' text '"'

#include "search/filter.h"

#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/errors.h"
#include "base/status_macros.h"
#include "search/fields.h"

namespace cmkstore::search {
namespace {

constexpr size_t kMaxBytes = 2048;
constexpr int kMaxComparisons = 32;
// SQLite's parser stacks at most 100 symbols, of which a level takes up to five.
constexpr int kMaxDepth = 10;

struct Literal {
  std::string text;
  bool quoted = false;
};

// A literal as content is compared with it, and the types of JSON that it can be compared with:
// for SQLite any text is greater than any number.
struct TypedLiteral {
  SqlValue value;
  absl::string_view types;
};

TypedLiteral TypeOf(const Literal& literal) {
  int64_t whole = 0;
  double real = 0;
  if (literal.quoted) return {literal.text, "'text'"};
  if (literal.text == "true" || literal.text == "false") {
    return {int64_t{literal.text == "true"}, "'true', 'false'"};
  }
  // As JSON writes numbers: 0x5, +5, 05, nan and inf are words.
  if (!nlohmann::json::parse(literal.text, nullptr, false).is_number()) {
    return {literal.text, "'text'"};
  }
  if (absl::SimpleAtoi(literal.text, &whole)) return {whole, "'integer', 'real'"};
  if (absl::SimpleAtod(literal.text, &real) && std::isfinite(real)) {
    return {real, "'integer', 'real'"};
  }
  return {literal.text, "'text'"};
}

// The field's value if it is of one of the types, else null.
Sql ContentOf(const Field& field, absl::string_view types) {
  const std::string path = JsonPath(field);
  return {absl::StrCat("(SELECT CASE WHEN json_type(content, ?) IN (", types,
                       ") THEN json_extract(content, ?) END FROM texts WHERE id = d.id)"),
          {path, path}};
}

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
    CMK_ASSIGN_OR_RETURN(Sql all, Sequence());
    while (Keyword("AND")) {
      CMK_ASSIGN_OR_RETURN(const Sql next, Sequence());
      all.text += " AND ";
      all.Append(next);
    }
    return all;
  }
  absl::StatusOr<Sql> Sequence() {
    CMK_ASSIGN_OR_RETURN(Sql all, Factor());
    while (!AtEnd() && PeekWord() != "AND") {
      CMK_ASSIGN_OR_RETURN(const Sql next, Factor());
      all.text += " AND ";
      all.Append(next);
    }
    return all;
  }
  // Only alternatives are put in parentheses: AND binds closer in SQL, and each that is open takes
  // of the parser's stack.
  absl::StatusOr<Sql> Factor() {
    CMK_ASSIGN_OR_RETURN(Sql any, Term());
    bool several = false;
    while (Keyword("OR")) {
      CMK_ASSIGN_OR_RETURN(const Sql next, Term());
      any.text += " OR ";
      any.Append(next);
      several = true;
    }
    if (several) any.text = absl::StrCat("(", any.text, ")");
    return any;
  }
  absl::StatusOr<Sql> Term() {
    if (Keyword("NOT") || Symbol("-")) {
      if (++depth_ > kMaxDepth) return Wrong("nested too deep");
      CMK_ASSIGN_OR_RETURN(Sql inner, Term());
      --depth_;
      // Null (no such field) is false, so that its NOT is true.
      inner.text = absl::StrCat("(", inner.text, ") IS NOT TRUE");
      return inner;
    }
    if (!Symbol("(")) return Comparison();
    if (++depth_ > kMaxDepth) return Wrong("nested too deep");
    CMK_ASSIGN_OR_RETURN(Sql inner, Filter());
    if (!Symbol(")")) return Wrong("a parenthesis is not closed");
    --depth_;
    return inner;
  }

  absl::StatusOr<Sql> Comparison() {
    if (++comparisons_ > kMaxComparisons) return Wrong("more than 32 comparisons");
    SkipSpace();
    CMK_ASSIGN_OR_RETURN(const Field field, ScanField(text_, at_, "filter"));
    for (absl::string_view operation : {"!=", "<=", ">=", "=", "<", ">", ":"}) {
      if (!Symbol(operation)) continue;
      CMK_ASSIGN_OR_RETURN(const Literal value, Value());
      return Compare(field, operation, value);
    }
    return Wrong("one of = != < <= > >= : is needed after a field");
  }
  absl::StatusOr<Literal> Value() {
    SkipSpace();
    if (at_ < text_.size() && text_[at_] == '"') {
      CMK_ASSIGN_OR_RETURN(std::string text, ScanQuoted(text_, at_, "filter"));
      return Literal{std::move(text), true};
    }
    std::string word;  // a bare time has colons
    while (at_ < text_.size() && (!EndsWord(text_[at_]) || absl::StrContains(":,", text_[at_]))) {
      word += text_[at_++];
    }
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
    if (equality && value.text.size() > 1 &&
        (value.text.front() == '*' || value.text.back() == '*')) {
      return Like(field.kind == FieldKind::kContent ? ContentOf(field, "'text'") : ValueOf(field),
                  operation == "!=", value.text);
    }
    if (field.kind == FieldKind::kContent) {
      TypedLiteral typed = TypeOf(value);
      return Binary(ContentOf(field, typed.types), operation, std::move(typed.value));
    }
    if (by_label_index_ && field.kind == FieldKind::kLabel && operation == "=") {
      return Sql{"d.id IN (SELECT doc FROM labels WHERE name = ? AND value = ?)",
                 {field.steps[0].name, value.text}};
    }
    return Binary(ValueOf(field), operation, value.text);
  }
  static Sql Binary(Sql left, absl::string_view operation, SqlValue value) {
    absl::StrAppend(&left.text, " ", operation, " ?");
    left.values.push_back(std::move(value));
    return left;
  }
  // No GLOB: it tries again from each place of a text, for seconds if the text is long, and nothing
  // ends it meanwhile.
  static Sql Like(const Sql& left, bool negated, absl::string_view pattern) {
    const bool open_begin = pattern.front() == '*', open_end = pattern.back() == '*';
    pattern.remove_prefix(open_begin ? 1 : 0);
    pattern.remove_suffix(open_end && !pattern.empty() ? 1 : 0);
    const std::string part(pattern);
    Sql sql{open_begin && open_end ? "instr(" : "substr(", {}};
    sql.Append(left);
    if (open_begin && open_end) {
      sql.Append({negated ? ", ?) = 0" : ", ?) > 0", {part}});
      return sql;
    }
    sql.Append({open_begin ? ", -length(?)) " : ", 1, length(?)) ", {part}});
    return Binary(std::move(sql), negated ? "!=" : "=", part);
  }
  absl::StatusOr<Sql> Has(const Field& field, const Literal& value) {
    if (value.text == "*" && !value.quoted) {
      Sql sql = ValueOf(field);
      sql.text += " IS NOT NULL";
      return sql;
    }
    if (field.kind == FieldKind::kTime) return Wrong("a time field takes no : but :*");
    if (field.kind != FieldKind::kContent) {
      Sql sql{"instr(", {}};
      sql.Append(ValueOf(field));
      sql.text += ", ?) > 0";
      sql.values.push_back(value.text);
      return sql;
    }
    // An array is walked by its elements, a scalar is its own only element. A word is looked for as
    // a text, too, whatever else it may be.
    TypedLiteral typed = TypeOf(value);
    const std::string path = JsonPath(field);
    return Sql{
        absl::StrCat("EXISTS (SELECT 1 FROM texts x, json_each(x.content, ?) e WHERE x.id = d.id "
                     "AND (e.type IN (",
                     typed.types,
                     ") AND e.value = ? OR e.type = 'text' AND (e.value = ? OR "
                     "json_type(x.content, ?) = 'text' AND instr(e.value, ?) > 0)))"),
        {path, std::move(typed.value), value.text, path, value.text}};
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
