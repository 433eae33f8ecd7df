#include "base/log.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/log_limiter.h"
#include "base/redaction.h"
#include "tests/testing/temp_dir.h"

namespace cmkstore {
namespace {

class LogTest : public ::testing::Test {
 protected:
  LogTest() { SetLogFile(path_); }
  ~LogTest() override {
    SetLogFile("/dev/stderr");
    SetLogLevel(LogLevel::kInfo);
  }
  std::vector<nlohmann::json> Lines() {
    std::vector<nlohmann::json> lines;
    std::istringstream log(*ReadFile(path_));
    for (std::string line; std::getline(log, line);) lines.push_back(nlohmann::json::parse(line));
    return lines;
  }

  testing::TempDir dir_;
  const std::string path_ = dir_.path() + "/log";
};

TEST_F(LogTest, ALineIsOneJsonObjectWhateverIsInIt) {
  Log(LogLevel::kInfo, "hub_locked", {{"cause", "a\"b\n{\"event\":\"forged\"}\x01\xff"}});
  const auto lines = Lines();
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_EQ(lines[0]["event"], "hub_locked");
  EXPECT_EQ(lines[0]["level"], "info");
  EXPECT_TRUE(lines[0].contains("time"));
}

TEST_F(LogTest, CredentialsAreRedacted) {
  Log(LogLevel::kError, "login", {{"why", "server said: Bearer abc.def-123 is bad"}});
  const std::string why = Lines().at(0)["why"];
  EXPECT_EQ(why, "server said: [redacted] is bad");
}

TEST_F(LogTest, AStormOfOneEventDoesNotHideAnother) {
  const uint64_t held_back_before = HeldBackLogLines();
  for (int i = 0; i < 1000; ++i) Log(LogLevel::kWarning, "storm_of_the_test");
  Log(LogLevel::kWarning, "calm_of_the_test");
  const auto lines = Lines();
  EXPECT_LT(lines.size(), 100u);
  EXPECT_EQ(HeldBackLogLines() - held_back_before, 1001 - lines.size());
  EXPECT_EQ(lines.back()["event"], "calm_of_the_test");
}

TEST_F(LogTest, WhatIsBelowTheLevelIsNotWritten) {
  SetLogLevel(LogLevel::kError);
  EXPECT_FALSE(LogEnabled(LogLevel::kWarning));
  Log(LogLevel::kWarning, "unseen");
  EXPECT_TRUE(Lines().empty());
}

TEST(LogLimiterTest, ABurstThenARateAndTheLossIsTold) {
  LogLimiter limiter;
  absl::Time now = absl::FromUnixSeconds(1'800'000'000);
  int written = 0;
  for (int i = 0; i < 150; ++i) written += limiter.Admit("e", now).has_value() ? 1 : 0;
  EXPECT_EQ(written, 50);
  now += absl::Seconds(1);
  written = 0;
  EXPECT_EQ(limiter.Admit("e", now), 100u) << "held back so far";
  for (int i = 0; i < 100; ++i) written += limiter.Admit("e", now).has_value() ? 1 : 0;
  EXPECT_EQ(written, 4);
  EXPECT_TRUE(limiter.Admit("another", now).has_value());
  now -= absl::Hours(1);  // a clock that is set back frees nothing
  EXPECT_FALSE(limiter.Admit("e", now).has_value());
}

TEST(LogLimiterTest, EventsBeyondTheBoundShareOneBucket) {
  LogLimiter limiter;
  const absl::Time now = absl::FromUnixSeconds(1'800'000'000);
  int written = 0;
  for (int i = 0; i < 5000; ++i) {
    written += limiter.Admit("event" + std::to_string(i), now).has_value() ? 1 : 0;
  }
  EXPECT_LE(written, 1100);
}

TEST(RedactionTest, TokensAndKeysGoAndTheRestStays) {
  EXPECT_EQ(RedactSecrets(""), "");
  EXPECT_EQ(RedactSecrets("nothing of it"), "nothing of it");
  EXPECT_EQ(RedactSecrets("a eyJhbGciOi.eyJzdWIi.c2ln-_x b"), "a [redacted] b");
  EXPECT_EQ(RedactSecrets("x -----BEGIN PRIVATE KEY-----\nMII\n"), "x [redacted]");
  EXPECT_EQ(RedactSecrets("Bearer a; Bearer b"), "[redacted]; [redacted]");
}

}  // namespace
}  // namespace cmkstore
