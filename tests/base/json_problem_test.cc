#include "base/json_problem.h"

#include <gtest/gtest.h>

namespace cmkstore {
namespace {

TEST(JsonProblemTest, SaysWhatIsTheMatterAndWhere) {
  EXPECT_EQ(JsonProblem(R"({"a": [1, 1.7e308, "1e400"]})", 2), "");
  const std::string range = " (numbers go to 1.79e308; write it as a string)";
  EXPECT_EQ(JsonProblem(R"({"a": 1e400})", 9), "has a number out of range at byte 7" + range);
  EXPECT_EQ(JsonProblem("[1, -" + std::string(600, '9') + "]", 9),
            "has a number out of range at byte 5" + range);
  EXPECT_EQ(JsonProblem("1e400", 9), "has a number out of range at byte 1" + range);
  EXPECT_EQ(JsonProblem("{not json", 9), "is not well-formed JSON at byte 3");
  EXPECT_EQ(JsonProblem("[1, 2", 9), "is not well-formed JSON at byte 6");
  EXPECT_EQ(JsonProblem("{} {}", 9), "is not well-formed JSON at byte 4");
  EXPECT_EQ(JsonProblem("", 9), "is not well-formed JSON at byte 1");
  EXPECT_EQ(JsonProblem("[[[]]]", 3), "");
  EXPECT_EQ(JsonProblem("[[[]]]", 2), "is nested more than 2 deep");
}

}  // namespace
}  // namespace cmkstore
