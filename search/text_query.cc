// query  = and { "OR" and }
// and    = not { [ "AND" ] not }
// not    = primary { "NOT" primary }
// primary = "(" query ")" | word [ "*" ] | '"' phrase '"' [ "*" ]

#include "search/text_query.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "base/errors.h"
#include "base/status_macros.h"
#include "search/tokens.h"

namespace cmkstore::search {
namespace {

constexpr size_t kMaxBytes = 1024;
constexpr int kMaxWords = 64;
// FTS5's parser stacks at most 100 symbols, of which a level takes up to seven.
constexpr int kMaxDepth = 10;

// Of two parts either may be empty: what is left of it without words that have no token.
std::string Joined(const std::string& left, absl::string_view by, const std::string& right) {
  if (left.empty()) return right;
  return right.empty() ? left : absl::StrCat(left, " ", by, " ", right);
}

class Parser {
 public:
  Parser(fts5_api& fts, absl::string_view text) : fts_(fts), text_(text) {}

  absl::StatusOr<std::string> Parse() {
    CMK_ASSIGN_OR_RETURN(std::string expression, Or());
    SkipSpace();
    if (at_ < text_.size()) return Wrong("a closing parenthesis without an opening one");
    if (expression.empty()) return FieldInvalid("query", "has no word, only punctuation");
    return expression;
  }

 private:
  absl::Status Wrong(absl::string_view what) const {
    return FieldInvalid("query", absl::StrCat(what, ", at byte ", at_ + 1));
  }
  void SkipSpace() {
    while (at_ < text_.size() && absl::ascii_isspace(text_[at_])) ++at_;
  }
  bool AtEnd() {
    SkipSpace();
    return at_ == text_.size() || text_[at_] == ')';
  }
  // Length of the plain word that begins here.
  size_t WordLength() const {
    size_t end = at_;
    while (end < text_.size() && !absl::ascii_isspace(text_[end]) && text_[end] != '"' &&
           text_[end] != '(' && text_[end] != ')') {
      ++end;
    }
    return end - at_;
  }
  bool Operator(absl::string_view word) {
    SkipSpace();
    if (text_.substr(at_, WordLength()) != word) return false;
    at_ += word.size();
    return true;
  }
  bool PeekOperator(absl::string_view word) {
    SkipSpace();
    return text_.substr(at_, WordLength()) == word;
  }

  absl::StatusOr<std::string> Or() {
    CMK_ASSIGN_OR_RETURN(std::string left, And());
    while (Operator("OR")) {
      CMK_ASSIGN_OR_RETURN(const std::string right, And());
      left = Joined(left, "OR", right);
    }
    return left;
  }
  absl::StatusOr<std::string> And() {
    CMK_ASSIGN_OR_RETURN(std::string left, Not());
    while (Operator("AND") || (!AtEnd() && !PeekOperator("OR"))) {
      CMK_ASSIGN_OR_RETURN(const std::string right, Not());
      left = Joined(left, "AND", right);
    }
    return left;
  }
  absl::StatusOr<std::string> Not() {
    CMK_ASSIGN_OR_RETURN(std::string left, Primary());
    while (Operator("NOT")) {
      CMK_ASSIGN_OR_RETURN(const std::string right, Primary());
      if (left.empty() && !right.empty()) return Wrong("NOT needs a word before it");
      left = Joined(left, "NOT", right);  // binds closest, and to the left
    }
    return left;
  }
  absl::StatusOr<std::string> Primary() {
    if (AtEnd()) return Wrong("a word is missing");
    if (text_[at_] == '(') {
      if (++depth_ > kMaxDepth) return Wrong("too many parentheses");
      ++at_;
      CMK_ASSIGN_OR_RETURN(const std::string inner, Or());
      SkipSpace();
      if (at_ == text_.size()) return Wrong("a parenthesis is not closed");
      ++at_;
      --depth_;
      return inner.empty() ? "" : absl::StrCat("(", inner, ")");
    }
    for (absl::string_view word : {"AND", "OR", "NOT"}) {
      if (PeekOperator(word)) return Wrong(absl::StrCat(word, " needs a word before it"));
    }
    absl::string_view word;
    if (text_[at_] == '"') {
      const size_t end = text_.find('"', at_ + 1);
      if (end == absl::string_view::npos) return Wrong("a quotation mark is not closed");
      word = text_.substr(at_ + 1, end - at_ - 1);
      at_ = end + 1;
    } else {
      word = text_.substr(at_, WordLength());
      at_ += word.size();
      while (!word.empty() && word.back() == '*') {
        word.remove_suffix(1);
        --at_;
      }
    }
    bool prefix = false;
    while (at_ < text_.size() && text_[at_] == '*') {
      prefix = true;
      ++at_;
    }
    CMK_ASSIGN_OR_RETURN(const int tokens, CountTokens(fts_, word));
    // Those of a phrase too: FTS5 looks for all of them in a row before we can end the search.
    words_ += std::max(tokens, 1);
    if (words_ > kMaxWords) return Wrong(absl::StrCat("more than ", kMaxWords, " words"));
    if (tokens == 0) return "";
    return absl::StrCat("\"", word, prefix ? "\" *" : "\"");
  }

  fts5_api& fts_;
  const absl::string_view text_;
  size_t at_ = 0;
  int words_ = 0;
  int depth_ = 0;
};

}  // namespace

absl::StatusOr<std::string> ToFtsExpression(Sqlite& db, absl::string_view text) {
  if (text.size() > kMaxBytes) return FieldInvalid("query", "must be at most 1024 bytes");
  if (text.find('\0') != absl::string_view::npos) {
    return FieldInvalid("query", "must not contain a zero byte");
  }
  CMK_ASSIGN_OR_RETURN(fts5_api* const fts, Fts5Of(db));
  return Parser(*fts, text).Parse();
}

}  // namespace cmkstore::search
