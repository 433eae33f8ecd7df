#include "tests/bench/corpus.h"

#include <cmath>
#include <random>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace cmkstore::bench {
namespace {

constexpr double kVocabulary = 20'000;
constexpr char kContentType[] = "application/json";

// Pronounceable, and different for different ranks.
std::string WordOf(uint64_t rank) {
  constexpr char kConsonants[] = "bdfgklmnprstvz", kVowels[] = "aeiou";
  std::string word;
  uint64_t rest = rank + 70;
  while (rest > 0) {
    word += kConsonants[rest % 14];
    rest /= 14;
    word += kVowels[rest % 5];
    rest /= 5;
  }
  return word;
}

}  // namespace

std::string ContentOf(uint64_t number) {
  std::mt19937_64 random(number);
  std::string text =
      absl::StrCat(R"({"name": "flow-)", number, R"(", "metrics": {"f1": 0.)", 100 + random() % 900,
                   R"(, "runs": )", random() % 10'000, R"(}, "description": "common only)", number);
  if (number % 10 == 0) text += " tenth";
  if (number % 1000 == 0) text += " thousandth";
  std::uniform_real_distribution<double> uniform(0, std::log(kVocabulary));
  constexpr absl::string_view kEnd = R"("})";
  for (;;) {
    const std::string word = WordOf(static_cast<uint64_t>(std::exp(uniform(random))));
    if (text.size() + 1 + word.size() + kEnd.size() > kContentBytes) break;
    absl::StrAppend(&text, " ", word);
  }
  text.append(kContentBytes - kEnd.size() - text.size(), 'x');
  return absl::StrCat(text, kEnd);
}

std::string CollectionOf(absl::string_view project, uint64_t number) {
  return absl::StrCat(project, "/collections/c", number % kCollections);
}

std::string NameOf(absl::string_view project, uint64_t number) {
  return absl::StrCat(CollectionOf(project, number), "/documents/d", number);
}

uint64_t NumberOf(absl::string_view name) {
  uint64_t number = 0;
  const size_t at = name.rfind("/d");
  if (at == absl::string_view::npos || !absl::SimpleAtoi(name.substr(at + 2), &number)) return ~0u;
  return number;
}

cmkstore::v1::Document DocumentOf(absl::string_view project, uint64_t number) {
  cmkstore::v1::Document document;
  document.set_name(NameOf(project, number));
  document.set_content_type(kContentType);
  document.set_content(ContentOf(number));
  (*document.mutable_labels())["team"] = absl::StrCat("team-", number % 8);
  return document;
}

size_t CallerBytes(const cmkstore::v1::Document& document) {
  const std::vector<absl::string_view> parts = absl::StrSplit(document.name(), '/');
  size_t bytes = parts[parts.size() - 3].size() + parts.back().size() + document.content().size() +
                 document.content_type().size();
  for (const auto& [name, value] : document.labels()) bytes += name.size() + value.size();
  return bytes;
}

}  // namespace cmkstore::bench
