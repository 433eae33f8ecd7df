#include "keycache/key_cache_options.h"

#include <gtest/gtest.h>

#include "tests/testing/matchers.h"

namespace cmkstore::keycache {
namespace {

using testing::FailsWith;
using testing::IsOk;

TEST(KeyCacheOptionsTest, DefaultsKeepThePromiseAndWorseOnesAreRefused) {  // KL-4
  KeyCacheOptions options;
  EXPECT_THAT(options.Validate(), IsOk());
  options.probe_interval = absl::Seconds(40);
  EXPECT_THAT(options.Validate(), FailsWith("FIELD_INVALID", "45 s"));
}

}  // namespace
}  // namespace cmkstore::keycache
