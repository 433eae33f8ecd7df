#include "service/status_page.h"

#include <gtest/gtest.h>

#include <string>

namespace cmkstore::service {
namespace {

TEST(StatusPageTest, EachSectionIsATableAndEachListEntryARow) {
  const std::string page = StatusPage(
      R"({"state": "serving", "key_cache": {"hits": 3}, "shards": [{"shard": 0, "queued": 7}, {"shard": 1, "queued": 8}]})");
  for (const char* part :
       {"<th scope=\"row\">state</th><td>serving</td>", "<h2>key cache</h2>",
        "<th scope=\"row\">hits</th><td>3</td>",
        "<th scope=\"col\">shard</th><th scope=\"col\">queued</th>", "<td>1</td><td>8</td>"}) {
    EXPECT_NE(page.find(part), std::string::npos) << part << page;
  }
}

TEST(StatusPageTest, SizesAreWrittenForPeople) {
  const std::string page = StatusPage(
      R"({"memory": {"resident_bytes": 1610612736, "block_bytes": 512, "free_bytes": 5242880}})");
  for (const char* part :
       {"resident</th><td>1.5 GiB</td>", "block</th><td>512 bytes</td>", "<td>5.0 MiB</td>"}) {
    EXPECT_NE(page.find(part), std::string::npos) << part << page;
  }
}

TEST(StatusPageTest, NothingInItBecomesMarkup) {
  const std::string page = StatusPage(R"({"a<script>": "\"><script>alert(1)</script>&"})");
  EXPECT_EQ(page.find("<script>"), std::string::npos);
  EXPECT_NE(page.find("&lt;script&gt;alert(1)&lt;/script&gt;&amp;"), std::string::npos);
}

TEST(StatusPageTest, WhatIsNotJsonMakesAnEmptyPage) {
  EXPECT_NE(StatusPage("{").find("<h1>cmkstored</h1>"), std::string::npos);
}

}  // namespace
}  // namespace cmkstore::service
