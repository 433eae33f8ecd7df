#include "cli/document_line.h"

#include <gtest/gtest.h>

#include <sstream>

#include "cli/import_checkpoint.h"
#include "cli/line_reader.h"
#include "cli/raw_json_member.h"

namespace cmkstore::cli {
namespace {

std::string ContentOf(const std::string& line) {
  const auto parsed = ParseDocumentLine(line);
  return parsed.ok() ? parsed->document.content()
                     : "refused: " + std::string(parsed.status().message());
}

TEST(DocumentLineTest, JsonContentIsTakenAsItStandsInTheLine) {
  const std::string begin = R"({"id":"d","collection":"c","x":"\"},{","content": )";
  for (const char* content : {R"({"a" : 1.10, "b":[1 ,2]})", "12345678901234567890123", "null",
                              R"([{"content":"inner"}])", "true"}) {
    EXPECT_EQ(ContentOf(begin + content + " }"), content);
    EXPECT_EQ(ContentOf(begin + content + R"(, "labels":{}})"), content);
  }
  EXPECT_EQ(ContentOf(R"({"c\u006fntent": 7, "collection":"c","id":"d"})"), "7");
  EXPECT_EQ(RawJsonMember("{}", "content"), "");
}

TEST(DocumentLineTest, TextAndBytesHaveTheirOwnDefaults) {
  const auto text = ParseDocumentLine(R"({"collection":"c","id":"d","content":"a\nb"})");
  EXPECT_EQ(text->document.content(), "a\nb");
  EXPECT_EQ(text->document.content_type(), "text/plain");
  const auto bytes = ParseDocumentLine(
      R"({"collection":"c","id":"d","content_base64":"AP8=","content_type":"image/x"})");
  EXPECT_EQ(bytes->document.content(), std::string("\0\xff", 2));
  EXPECT_EQ(bytes->document.content_type(), "image/x");
}

TEST(DocumentLineTest, RefusalsSayWhatIsWrongWithTheLine) {
  EXPECT_EQ(ContentOf("[]"), "refused: line: is no JSON object");
  EXPECT_EQ(ContentOf("{\"id\":"), "refused: line: is not well-formed JSON at byte 7");
  for (const std::string& number : {std::string("1e400"), std::string(600, '9')}) {
    EXPECT_EQ(ContentOf(R"({"collection":"c","id":"d","content":)" + number + "}"),
              "refused: line: has a number out of range at byte 38 (numbers go to 1.79e308; write "
              "it as a string)");
  }
  EXPECT_EQ(ContentOf(R"({"collection":"c","id":"d","labels":[]})"),
            "refused: labels: must be an object");
  EXPECT_EQ(ContentOf(R"({"collection":"c","id":"d","labels":{"k":1}})"),
            "refused: labels: values must be strings");
  EXPECT_EQ(ContentOf(R"({"collection":"c","id":"d","content_base64":"?"})"),
            "refused: content_base64: is no base64");
  EXPECT_EQ(ContentOf(R"({"collection":"c","id":"d","content":1,"content_base64":""})"),
            "refused: content: and content_base64 exclude each other");
  EXPECT_EQ(ContentOf(R"({"collection":"c","id":5})"), "refused: id: must be a string");
  EXPECT_NE(ContentOf(R"({"collection":"c","id":"a/b"})").find("refused: id"), std::string::npos);
  EXPECT_EQ(ContentOf(R"({"collection":"c","id":"d","content":1,"content":2})"),
            "refused: \"content\": is there twice");
  EXPECT_EQ(ContentOf(R"({"collection":"c","id":"d","labels":{"k":"1","k":"2"}})"),
            "refused: \"k\": is there twice");
  EXPECT_EQ(ContentOf(R"({"collection":"c","id":"d","content":{"a":1,"a":2},"labels":{"a":""}})"),
            R"({"a":1,"a":2})")
      << "content is the caller's own";
}

TEST(DocumentLineTest, ASlipInAKeyIsRefusedByItsName) {
  const auto refusal = [](const std::string& key, const std::string& field) {
    return "refused: \"" + key + "\": is no field of a line; is " + field + " meant?";
  };
  const auto with = [](const std::string& key) {
    return ContentOf(R"({"collection":"c","id":"d",")" + key + R"(":"x"})");
  };
  for (const char* key : {"lables", "label", "Labels", "labelss", "labelz"}) {
    EXPECT_EQ(with(key), refusal(key, "labels"));
  }
  EXPECT_EQ(with("contnet"), refusal("contnet", "content"));
  EXPECT_EQ(with("contentType"), refusal("contentType", "content_type"));
  EXPECT_EQ(with("content-base64"), refusal("content-base64", "content_base64"));
  EXPECT_EQ(with("Project"), refusal("Project", "project"));
  // Of others' own, as in an export of another program.
  for (const char* key : {"source", "levels", "contact", "product", "x", ""}) {
    EXPECT_EQ(with(key), "") << key;
  }
  EXPECT_EQ(ContentOf(R"({"collection":"c","id":"d","content":"x","contents":"y"})"), "x");
}

TEST(LineReaderTest, ALineThatIsTooLongIsSkippedAndCounted) {
  std::istringstream input(std::string(LineReader::kMaxLineBytes + 1, 'x') + "\nshort");
  LineReader reader(input);
  std::string line;
  EXPECT_EQ(reader.Next(line), LineReader::Result::kTooLong);
  EXPECT_EQ(reader.Next(line), LineReader::Result::kLine);
  EXPECT_EQ(line, "short");
  EXPECT_EQ(reader.place().line, 2u);
  EXPECT_EQ(reader.Next(line), LineReader::Result::kEnd);
}

TEST(LineReaderTest, GoesToAPlaceOnlyIfTheSameBytesStandBeforeIt) {
  std::istringstream input("one\ntwo\nthree\n"), other("One\ntwo\nthree\n");
  LineReader first(input);
  std::string line;
  first.Next(line);
  first.Next(line);
  const FilePlace after_two = first.place();
  std::istringstream again(input.str());
  LineReader second(again), third(other);
  EXPECT_TRUE(second.GoTo(after_two));
  second.Next(line);
  EXPECT_EQ(line, "three");
  EXPECT_FALSE(third.GoTo(after_two));
  third.Next(line);
  EXPECT_EQ(line, "One") << "from the beginning then";
}

TEST(ImportCheckpointTest, ComesBackFromItsText) {
  ImportCheckpoint checkpoint = NewImport("target");
  checkpoint.place = {12, 3, 0xFFFFFFFFFFFFFFFF};
  checkpoint.stored = 2;
  checkpoint.bad = 1;
  const auto back = ParseCheckpoint(FormatCheckpoint(checkpoint));
  ASSERT_TRUE(back.has_value());
  EXPECT_EQ(FormatCheckpoint(*back), FormatCheckpoint(checkpoint));
  EXPECT_EQ(back->place.digest, 0xFFFFFFFFFFFFFFFF);
  EXPECT_FALSE(ParseCheckpoint("{}").has_value());
  EXPECT_EQ(BatchRequestId(checkpoint, 1).size(), 36u);
  EXPECT_NE(BatchRequestId(checkpoint, 1), BatchRequestId(checkpoint, 2));
  EXPECT_NE(BatchRequestId(NewImport("target"), 1), BatchRequestId(checkpoint, 1));
}

}  // namespace
}  // namespace cmkstore::cli
