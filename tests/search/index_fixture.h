#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "crypto/random.h"
#include "search/sqlite_hub_index.h"
#include "tests/testing/matchers.h"
#include "tests/testing/temp_dir.h"

namespace cmkstore::search {

using testing::FailsWith;
using testing::IsOk;

inline IndexChange Put(const std::string& id, const std::string& content,
                       std::map<std::string, std::string> labels = {},
                       const std::string& collection = "flows") {
  IndexedDocument document;
  document.project = "vision";
  document.collection = collection;
  document.document = id;
  document.labels = std::move(labels);
  document.content_type = "application/json";
  document.content = content;
  document.create_time = document.update_time = absl::FromUnixSeconds(1'700'000'000);
  return {std::string(16, 'p') + collection + "/" + id, std::move(document)};
}

inline IndexChange Removed(const std::string& id, const std::string& collection = "flows") {
  return {std::string(16, 'p') + collection + "/" + id, std::nullopt};
}

inline std::vector<std::string> Ids(const SearchResult& result) {
  std::vector<std::string> ids;
  for (const SearchHit& hit : result.hits) ids.push_back(hit.document);
  return ids;
}

class IndexTest : public ::testing::Test {
 protected:
  std::string path() const { return dir_.path() + "/one.index"; }
  absl::StatusOr<std::unique_ptr<SqliteHubIndex>> Open() {
    return SqliteHubIndex::Open(path(), hub_, key_, options_);
  }
  SqliteHubIndex& index() {
    if (index_ == nullptr) {
      auto opened = Open();
      EXPECT_THAT(opened, IsOk());
      index_ = *std::move(opened);
    }
    return *index_;
  }
  SearchResult Find(const std::string& text, const std::string& filter = "") {
    SearchQuery query;
    query.text = text;
    query.filter = filter;
    return Find(query);
  }
  SearchResult Find(const SearchQuery& query) {
    auto result = index().Search(query);
    EXPECT_THAT(result, IsOk()) << query.text << " | " << query.filter;
    return result.ok() ? *std::move(result) : SearchResult();
  }

  testing::TempDir dir_;
  crypto::SystemRandom random_;
  HubUid hub_ = random_.NewUid<HubUid>();
  crypto::SecretBytes key_ = random_.Secret(32);
  SqliteHubIndexOptions options_;
  std::unique_ptr<SqliteHubIndex> index_;
};

}  // namespace cmkstore::search
