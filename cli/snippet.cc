#include "cli/snippet.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "cli/printable.h"

namespace cmkstore::cli {
namespace {

constexpr char kBold[] = "\033[1;33m";
constexpr char kPlain[] = "\033[0m";

std::string OneLine(absl::string_view text) {
  return Printable(absl::StrReplaceAll(text, {{"\r\n", " "}, {"\n", " "}, {"\t", " "}}));
}

}  // namespace

std::string SnippetLine(const v1::SearchHit& hit, Emphasis emphasis) {
  const absl::string_view snippet = hit.snippet();
  std::string line;
  size_t at = 0;
  for (const v1::Highlight& highlight : hit.highlights()) {
    // What the server says of positions is checked like any other input.
    const size_t begin = std::clamp<size_t>(highlight.begin(), at, snippet.size());
    const size_t end = std::clamp<size_t>(highlight.end(), begin, snippet.size());
    absl::StrAppend(&line, OneLine(snippet.substr(at, begin - at)));
    const std::string word = OneLine(snippet.substr(begin, end - begin));
    if (emphasis == Emphasis::kTerminal && !word.empty()) {
      absl::StrAppend(&line, kBold, word, kPlain);
    } else {
      absl::StrAppend(&line, word);
    }
    at = end;
  }
  return absl::StrCat(line, OneLine(snippet.substr(at)));
}

}  // namespace cmkstore::cli
