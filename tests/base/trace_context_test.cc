#include "base/trace_context.h"

#include <gtest/gtest.h>

#include <string>

namespace cmkstore {
namespace {

constexpr char kHeader[] = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

TEST(TraceContextTest, ReadsTheExampleOfTheSpecification) {
  const auto trace = ParseTraceparent(kHeader);
  ASSERT_TRUE(trace.has_value());
  EXPECT_EQ(trace->trace_id, "4bf92f3577b34da6a3ce929d0e0e4736");
  EXPECT_EQ(trace->parent_id, "00f067aa0ba902b7");
}

TEST(TraceContextTest, ALaterVersionMayGoOnAndThisOneMayNot) {
  EXPECT_TRUE(
      ParseTraceparent("01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more").has_value());
  EXPECT_FALSE(ParseTraceparent(std::string(kHeader) + "-more").has_value());
  EXPECT_FALSE(
      ParseTraceparent("01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01x").has_value());
}

TEST(TraceContextTest, WhatIsMalformedIsNothing) {
  const std::string header = kHeader;
  for (size_t length = 0; length < header.size(); ++length) {
    EXPECT_FALSE(ParseTraceparent(header.substr(0, length)).has_value()) << length;
  }
  for (size_t at = 0; at < header.size(); ++at) {
    for (const char wrong : {'\0', '\n', '"', 'G', 'A', ' '}) {
      std::string changed = header;
      changed[at] = wrong;
      EXPECT_FALSE(ParseTraceparent(changed).has_value()) << changed;
    }
  }
  EXPECT_FALSE(ParseTraceparent("ff" + header.substr(2)).has_value());
  EXPECT_FALSE(ParseTraceparent("00-" + std::string(32, '0') + header.substr(35)).has_value());
  EXPECT_FALSE(ParseTraceparent(header.substr(0, 36) + std::string(16, '0') + "-01").has_value());
}

}  // namespace
}  // namespace cmkstore
