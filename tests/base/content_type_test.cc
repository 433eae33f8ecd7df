#include "base/content_type.h"

#include <gtest/gtest.h>

namespace cmkstore {
namespace {

TEST(ContentTypeTest, LettersCaseAndParametersMakeNoDifference) {
  for (const char* type : {"application/json", "Application/JSON", "application/json;charset=utf-8",
                           "application/json ; v=1", "text/json", "application/geo+json",
                           "application/vnd.x.flow+JSON; version=2"}) {
    EXPECT_TRUE(IsJsonType(type)) << type;
    EXPECT_FALSE(IsTextType(type)) << type;
  }
  for (const char* type : {"text/plain", "TEXT/Markdown; charset=utf-8", "application/sql",
                           "application/xml", "image/svg+xml", "application/x-ndjson",
                           "application/yaml", "application/openapi+yaml", "application/jsonl"}) {
    EXPECT_TRUE(IsTextType(type)) << type;
    EXPECT_FALSE(IsJsonType(type)) << type;
  }
  for (const char* type : {"", "application/octet-stream", "image/png", "application/json-seq",
                           "application/vnd.ms-excel.yamlish", "x/text/plain"}) {
    EXPECT_FALSE(IsTextType(type)) << type;
    EXPECT_FALSE(IsJsonType(type)) << type;
  }
}

}  // namespace
}  // namespace cmkstore
