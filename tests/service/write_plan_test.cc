#include "service/write_plan.h"

#include <gtest/gtest.h>

#include <string>

#include "crypto/envelope_layout.h"
#include "tests/testing/matchers.h"

namespace cmkstore::service {
namespace {

using testing::FailsWith;
using testing::IsOk;

// What was stored before its type was checked, beside an update that is planned now.
class WritePlanTest : public ::testing::Test {
 protected:
  WritePlanTest() {
    std::string envelope(crypto::SealedDocument::kOverheadBytes, '\0');
    envelope[0] = crypto::kMagic0;
    envelope[1] = crypto::kMagic1;
    envelope[crypto::kVersionOffset] = crypto::kFormatVersion;
    envelope[crypto::kSuiteOffset] = crypto::kSuiteKcXaes;
    current_ = {*crypto::SealedDocument::Parse(envelope), {}};
    current_->body.set_content_type("application/geo+json");
    current_->body.set_content("no JSON");
  }

  absl::StatusOr<std::optional<PlannedRow>> Update(const v1::Document& document,
                                                   std::initializer_list<const char*> mask) {
    WriteIntent intent{.kind = WriteIntent::Kind::kUpdate,
                       .name = *DocumentName::Parse("name", kName),
                       .document = &document,
                       .etag = ""};
    google::protobuf::FieldMask paths;
    for (const char* path : mask) paths.add_paths(path);
    const absl::Status masked = ApplyUpdateMask(paths, intent);
    if (!masked.ok()) return masked;
    return PlanWrite(intent, &*current_, absl::UnixEpoch());
  }

  static constexpr char kName[] =
      "tenants/t/hubs/h/projects/p/collections/flows/documents/summarize";
  std::optional<CurrentRow> current_;
};

TEST_F(WritePlanTest, LabelsAreUpdatedWhateverContentWasStored) {
  v1::Document document;
  (*document.mutable_labels())["stage"] = "prod";
  const auto planned = Update(document, {"labels"});
  ASSERT_THAT(planned, IsOk());
  EXPECT_EQ((*planned)->body->labels().at("stage"), "prod");
  EXPECT_EQ((*planned)->body->content(), "no JSON");
}

TEST_F(WritePlanTest, ContentAndTypeAreCheckedTogetherWhenEitherIsSet) {
  v1::Document document;
  document.set_content("{");
  document.set_content_type("application/json");
  EXPECT_THAT(Update(document, {"content"}), FailsWith("FIELD_INVALID", "document.content"));
  EXPECT_THAT(Update(document, {"content_type"}), FailsWith("FIELD_INVALID", "document.content"));
  document.set_content_type("text/plain");
  EXPECT_THAT(Update(document, {"content_type"}), IsOk());
}

}  // namespace
}  // namespace cmkstore::service
