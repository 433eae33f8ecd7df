// The fuzz targets over their seeds, and over every seed cut short and with single bits changed,
// without a fuzzer.

#include <gtest/gtest.h>

#include <filesystem>

#include "base/file.h"
#include "tests/fuzz/targets.h"

namespace cmkstore::fuzz {
namespace {

class CorpusTest : public ::testing::TestWithParam<Target> {};

TEST_P(CorpusTest, HoldsItsPromisesOnSeedsAndTheirNeighbours) {
  int seeds = 0;
  const std::string directory = std::string("tests/fuzz/corpus/") + GetParam().name;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    const std::string seed = *ReadFile(entry.path().string());
    GetParam().run(seed);
    const size_t step = 1 + seed.size() / 64;
    for (size_t at = 0; at < seed.size(); at += step) {
      GetParam().run(absl::string_view(seed).substr(0, at));
      std::string changed = seed;
      changed[at] = static_cast<char>(changed[at] ^ (1 << at % 8));
      GetParam().run(changed);
    }
    ++seeds;
  }
  EXPECT_GT(seeds, 0);
}

INSTANTIATE_TEST_SUITE_P(Fuzz, CorpusTest, ::testing::ValuesIn(AllTargets()),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace cmkstore::fuzz
