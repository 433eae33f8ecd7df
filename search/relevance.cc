#include "search/relevance.h"

#include <cmath>

#include "base/status_macros.h"
#include "search/tokens.h"

namespace cmkstore::search {
namespace {

constexpr double kK1 = 1.2, kB = 0.75;
constexpr int64_t kMaxCounted = 2'000;
// Between two questions whether the search is to end: about a millisecond of places of words in
// rows, be it many rows or one that is full of them.
constexpr int64_t kStepsPerCheck = 1 << 16;
constexpr int64_t kStepsOfARow = 1 << 10;
constexpr double kColumnWeights[] = {4, 2, 1};  // names, labels, body

// With the function.
struct Kept {
  const Sqlite& db;
  RowLengths& lengths;
};

class Steps {
 public:
  // Whether the search is to end.
  bool Take(const Sqlite& db, int64_t steps) {
    taken_ += steps;
    if (taken_ < kStepsPerCheck) return false;
    taken_ = 0;
    return db.IsCancelled();
  }

 private:
  int64_t taken_ = 0;
};

struct Statistics {
  std::vector<double> inverse_frequencies;  // by phrase of the query
  double average_length = 1;
  int64_t scored = 0;  // rows so far
  Steps steps = {};
};

struct Count {
  const Sqlite& db;
  int64_t words;  // of the phrase
  int64_t rows = 0;
  Steps steps = {};
};

int CountRow(const Fts5ExtensionApi*, Fts5Context*, void* counted) {
  auto& count = *static_cast<Count*>(counted);
  ++count.rows;
  if (count.steps.Take(count.db, count.words * kStepsOfARow)) return SQLITE_INTERRUPT;
  return count.rows < kMaxCounted ? SQLITE_OK : SQLITE_DONE;
}

// Once per query; kept with it by FTS5.
int StatisticsOf(const Fts5ExtensionApi* api, Fts5Context* fts, const Sqlite& db,
                 Statistics** out) {
  *out = static_cast<Statistics*>(api->xGetAuxdata(fts, 0));
  if (*out != nullptr) return SQLITE_OK;
  sqlite3_int64 rows = 0, tokens = 0;
  if (const int code = api->xRowCount(fts, &rows); code != SQLITE_OK) return code;
  if (const int code = api->xColumnTotalSize(fts, -1, &tokens); code != SQLITE_OK) return code;
  auto statistics = std::make_unique<Statistics>();
  if (rows > 0)
    statistics->average_length = static_cast<double>(tokens) / static_cast<double>(rows);
  for (int phrase = 0; phrase < api->xPhraseCount(fts); ++phrase) {
    Count count{db, api->xPhraseSize(fts, phrase)};
    const int code = api->xQueryPhrase(fts, phrase, &count, CountRow);
    if (code != SQLITE_OK && code != SQLITE_DONE) return code;
    const double total = static_cast<double>(rows), have = static_cast<double>(count.rows);
    statistics->inverse_frequencies.push_back(std::log(1 + (total - have + 0.5) / (have + 0.5)));
  }
  *out = statistics.get();
  return api->xSetAuxdata(fts, statistics.release(),
                          [](void* kept) { delete static_cast<Statistics*>(kept); });
}

int LengthOf(const Fts5ExtensionApi* api, Fts5Context* fts, RowLengths& lengths, int* length) {
  const int64_t row = api->xRowid(fts);
  if (const std::optional<int> known = lengths.Find(row); known.has_value()) {
    *length = *known;
    return SQLITE_OK;
  }
  if (const int code = api->xColumnSize(fts, -1, length); code != SQLITE_OK) return code;
  lengths.Keep(row, *length);
  return SQLITE_OK;
}

int Score(const Fts5ExtensionApi* api, Fts5Context* fts, int64_t limit, double* score) {
  const auto& kept = *static_cast<const Kept*>(api->xUserData(fts));
  Statistics* statistics = nullptr;
  int length = 0;
  if (const int code = StatisticsOf(api, fts, kept.db, &statistics); code != SQLITE_OK) return code;
  if (++statistics->scored > limit) return SQLITE_OK;
  if (statistics->steps.Take(kept.db, kStepsOfARow)) return SQLITE_INTERRUPT;
  if (const int code = LengthOf(api, fts, kept.lengths, &length); code != SQLITE_OK) return code;
  const double norm = kK1 * (1 - kB + kB * length / statistics->average_length);
  for (size_t phrase = 0; phrase < statistics->inverse_frequencies.size(); ++phrase) {
    double frequency = 0;
    int64_t places = 0;
    Fts5PhraseIter place;
    int column = 0, offset = 0;
    const int code = api->xPhraseFirst(fts, static_cast<int>(phrase), &place, &column, &offset);
    if (code != SQLITE_OK) return code;
    for (; column >= 0; api->xPhraseNext(fts, &place, &column, &offset)) {
      frequency += kColumnWeights[column];
      ++places;
    }
    if (statistics->steps.Take(kept.db, places)) return SQLITE_INTERRUPT;
    *score += statistics->inverse_frequencies[phrase] * frequency * (kK1 + 1) / (frequency + norm);
  }
  return SQLITE_OK;
}

void Relevance(const Fts5ExtensionApi* api, Fts5Context* fts, sqlite3_context* context,
               int arguments, sqlite3_value** values) {
  double score = 0;
  const int64_t limit = arguments > 0 ? sqlite3_value_int64(values[0]) : 0;
  if (const int code = Score(api, fts, limit, &score); code != SQLITE_OK) {
    sqlite3_result_error_code(context, code);
  } else {
    sqlite3_result_double(context, score);
  }
}

void Occurrences(const Fts5ExtensionApi* api, Fts5Context* fts, sqlite3_context* context,
                 int arguments, sqlite3_value** values) {
  const int64_t most = arguments > 0 ? sqlite3_value_int64(values[0]) : 0;
  int64_t found = 0;
  for (int phrase = 0; phrase < api->xPhraseCount(fts) && found <= most; ++phrase) {
    Fts5PhraseIter place;
    int column = 0, offset = 0;
    const int code = api->xPhraseFirst(fts, phrase, &place, &column, &offset);
    if (code != SQLITE_OK) return sqlite3_result_error_code(context, code);
    // Not by xInstCount, which keeps an array of them all.
    for (; column >= 0 && found <= most; api->xPhraseNext(fts, &place, &column, &offset)) ++found;
  }
  sqlite3_result_int64(context, found);
}

}  // namespace

std::optional<int> RowLengths::Find(int64_t row) const {
  if (entries_.empty() || entries_[PlaceOf(row)].row != row) return std::nullopt;
  return entries_[PlaceOf(row)].length;
}

void RowLengths::Keep(int64_t row, int length) {
  entries_.resize(kEntries);
  entries_[PlaceOf(row)] = {row, length};
}

void RowLengths::Forget(int64_t row) {
  if (Find(row).has_value()) entries_[PlaceOf(row)] = {};
}

absl::Status AddRelevance(Sqlite& db, RowLengths& lengths) {
  CMK_ASSIGN_OR_RETURN(fts5_api* const api, Fts5Of(db));
  CMK_RETURN_IF_ERROR(
      ToStatus(api->xCreateFunction(api, "relevance", new Kept{db, lengths}, Relevance,
                                    [](void* kept) { delete static_cast<Kept*>(kept); })));
  return ToStatus(api->xCreateFunction(api, "occurrences", nullptr, Occurrences, nullptr));
}

}  // namespace cmkstore::search
