// put, get, ls and rm through the real cmkctl.

#include "store/key_layout.h"
#include "store/rocksdb/shard_set.h"
#include "store/tables.h"
#include "tests/cli/served_cli.h"
#include "tests/store/apply_and_wait.h"

namespace cmkstore {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::Output;

class CliDocumentsTest : public ServedCli {
 protected:
  void SetUp() override { MakeHub(); }
  // Changes the last byte of the first document's row, while no server has it.
  void DamageADocument() {
    server_.reset();
    store::ShardSetOptions options;
    options.directory = dir_.path() + "/data/shards";
    options.shards = 2;
    auto shards = *store::ShardSet::Open(options);
    const auto record = **store::HubsTable(*shards).Get(store::CatalogPartition(), kTenant, "h1");
    const auto hub = store::HubPartition(record.shard(), *HubUid::FromBytes(record.uid()));
    const auto rows = *shards->Scan(hub, store::TableRange(store::Table::kDocuments), 1);
    std::string value = rows.at(0).value;
    value.back() = static_cast<char>(value.back() ^ 1);
    store::WriteSet writes;
    writes.PutRecord(rows.at(0).key, value);
    ASSERT_TRUE(store::ApplyAndWait(*shards, hub, std::move(writes)).ok());
    shards.reset();
    StartServer();
  }
};

TEST_F(CliDocumentsTest, ContentComesBackByteByByte) {
  const std::string bytes("\x00\x01\xff\n\r no newline at the end", 27);
  ASSERT_EQ(
      Ctl({"put", "h1/p1/blobs/b1", "--content-type", "application/octet-stream"}, bytes).exit_code,
      0);
  EXPECT_EQ(Ctl({"get", "h1/p1/blobs/b1"}).out, bytes);
  const std::string file = dir_.path() + "/out";
  EXPECT_EQ(Ctl({"get", "h1/p1/blobs/b1", "--output", file}).out, "");
  EXPECT_EQ(*ReadFile(file), bytes);
  EXPECT_EQ(Ctl({"get", "h1/p1/blobs/b1", "--output", "/nonexistent/x"}).exit_code, 2);
}

TEST_F(CliDocumentsTest, PutTakesFileLabelsAndAnEtag) {
  const std::string file = WriteInput("flow.json", R"({"nodes": []})");
  const Output put =
      Ctl({"put", "h1/p1/flows/f1", file, "--label", "team=retail", "--label", "stage=a=b"});
  EXPECT_EQ(put.exit_code, 0) << put.err;
  EXPECT_THAT(put.out, HasSubstr("h1/p1/flows/f1  revision 1  etag "));
  const auto stored = Ctl({"get", "h1/p1/flows/f1", "--json"}).Json();
  EXPECT_EQ(stored["labels"], (nlohmann::json{{"team", "retail"}, {"stage", "a=b"}}));
  const std::string etag = stored["etag"];
  EXPECT_EQ(Ctl({"put", "h1/p1/flows/f1", file, "--if-match", etag}).exit_code, 0);
  const Output stale = Ctl({"put", "h1/p1/flows/f1", file, "--if-match", etag});
  EXPECT_EQ(stale.exit_code, 5);
  EXPECT_THAT(stale.err, AllOf(HasSubstr("[ETAG_MISMATCH]"), HasSubstr("read it again")));
}

TEST_F(CliDocumentsTest, LabelsStayUnlessPutSaysOtherwise) {
  const auto put = [this](std::vector<std::string> options) {
    options.insert(options.begin(), {"put", "h1/p1/flows/f1"});
    return Ctl(options, R"({"v": 1})").exit_code;
  };
  const auto labels = [this] { return Ctl({"get", "h1/p1/flows/f1", "--json"}).Json()["labels"]; };
  ASSERT_EQ(put({"--label", "team=retail", "--label", "stage=dev"}), 0);
  ASSERT_EQ(put({}), 0);
  EXPECT_EQ(labels(), (nlohmann::json{{"team", "retail"}, {"stage", "dev"}})) << "another content";
  ASSERT_EQ(put({"--label", "stage=prod"}), 0);
  EXPECT_EQ(labels(), (nlohmann::json{{"stage", "prod"}})) << "those that are said, and no others";
  EXPECT_EQ(put({"--clear-labels", "--label", "a=b"}), 2) << "which?";
  const Output twice =
      Ctl({"put", "h1/p1/flows/f1", "--label", "a=1", "--label", "b=1", "--label", "a=2"}, "{}");
  EXPECT_EQ(twice.exit_code, 2) << "which of the two?";
  EXPECT_THAT(twice.err, HasSubstr("--label a is given twice"));
  ASSERT_EQ(put({"--clear-labels"}), 0);
  EXPECT_TRUE(labels().is_null() || labels().empty()) << labels();
}

TEST_F(CliDocumentsTest, AContentTypeStaysUnlessPutSaysAnother) {
  const auto put = [this](std::vector<std::string> options, const std::string& content) {
    options.insert(options.begin(), {"put", "h1/p1/notes/n1"});
    return Ctl(options, content).exit_code;
  };
  const auto type = [this] {
    return Ctl({"get", "h1/p1/notes/n1", "--json"}).Json()["contentType"];
  };
  ASSERT_EQ(put({"--content-type", "text/markdown"}, "# one"), 0);
  ASSERT_EQ(put({}, "# two"), 0) << "it is no JSON, and need not be";
  EXPECT_EQ(type(), "text/markdown");
  EXPECT_NE(put({"--content-type", "application/json"}, "# three"), 0);
  ASSERT_EQ(put({"--content-type", "application/json"}, "{}"), 0);
  EXPECT_EQ(type(), "application/json");
}

TEST_F(CliDocumentsTest, WhatDoesNotOpenIsLeftOutAndToldOf) {
  for (const char* id : {"f1", "f2"}) {
    ASSERT_EQ(Ctl({"put", absl::StrCat("h1/p1/flows/", id)}, "{}").exit_code, 0);
  }
  DamageADocument();
  const Output list = Ctl({"ls", "h1"});
  EXPECT_EQ(list.exit_code, 8);
  EXPECT_THAT(list.err, HasSubstr("1 document is left out: stored, and not to be opened "
                                  "(DOCUMENT_CORRUPT 1)"));
  EXPECT_NE(list.out.find("h1/p1/flows/f1") == std::string::npos,
            list.out.find("h1/p1/flows/f2") == std::string::npos)
      << "the other one";
  const std::string file = dir_.path() + "/h1.jsonl";
  const Output exported = Ctl({"export", "h1", "--output", file});
  EXPECT_EQ(exported.exit_code, 8);
  EXPECT_THAT(exported.err, AllOf(HasSubstr("1 documents exported"), HasSubstr("is left out")));
  EXPECT_THAT(*ReadFile(file), HasSubstr("\"collection\":\"flows\""));
  const Output watch = Ctl({"watch", "h1", "--count", "2"});
  EXPECT_EQ(watch.exit_code, 0) << watch.err;
  EXPECT_THAT(watch.out, HasSubstr("UNREADABLE  h1/p1  [DOCUMENT_CORRUPT]"));
}

TEST_F(CliDocumentsTest, RefusalsNameWhatIsWrong) {
  const Output json = Ctl({"put", "h1/p1/flows/f1"}, "{broken");
  EXPECT_EQ(json.exit_code, 9);
  EXPECT_THAT(json.err, HasSubstr("not well-formed JSON"));
  EXPECT_EQ(Ctl({"put", "h1/p1/flows/f1", "/nonexistent"}).exit_code, 2);
  EXPECT_EQ(Ctl({"put", "h1/p1/flows/f1", "--label", "novalue"}, "{}").exit_code, 2);
  const Output shallow = Ctl({"get", "h1/p1/flows"});
  EXPECT_EQ(shallow.exit_code, 2);
  EXPECT_THAT(shallow.err, HasSubstr("must be HUB/PROJECT/COLLECTION/ID"));
  EXPECT_EQ(Ctl({"get", "h1/p1/flows/../f1"}).exit_code, 2);
  EXPECT_EQ(Ctl({"get", "h1/p1/flows/none"}).exit_code, 3);
  EXPECT_EQ(Ctl({"get", "h1/none/flows/f1"}).exit_code, 3);
  EXPECT_EQ(Ctl({"put", "h1/p1/flows/f1"}, "{}", "reader").exit_code, 4);
  EXPECT_EQ(Ctl({"put", "h1/p1/flows/f1", "--timeout", "soon"}, "{}").exit_code, 2);
}

TEST_F(CliDocumentsTest, WhatIsTooLargeIsInvalidInputHoweverMuchTooLarge) {
  const Output field =
      Ctl({"put", "h1/p1/blobs/b1", "--content-type", "a/b"}, std::string((1u << 20) + 1, 'x'));
  EXPECT_EQ(field.exit_code, 9);
  EXPECT_THAT(field.err,
              HasSubstr("document.content: must be at most 1048576 bytes, and standard input has "
                        "more [FIELD_INVALID]"));
  const Output json = Ctl({"put", "h1/p1/blobs/b1", "--json"}, std::string((1u << 20) + 1, ' '));
  EXPECT_THAT(json.err, HasSubstr(R"("reason":"FIELD_INVALID")"));
  EXPECT_EQ(Ctl({"put", "h1/p1/blobs/b1"}, "{}" + std::string((1u << 20) - 2, ' ')).exit_code, 0)
      << "as large as it may be";
}

TEST_F(CliDocumentsTest, InputWithoutAnEndIsReadOnlyAsFarAsADocumentGoes) {
  // Nothing is sent: nobody is there.
  const Output endless = Ctl({"--endpoint", "127.0.0.1:1", "put", "h1/p1/blobs/b1", "/dev/zero"});
  EXPECT_EQ(endless.exit_code, 9);
  EXPECT_THAT(endless.err, HasSubstr("1048576 bytes, and /dev/zero has more"));
}

TEST_F(CliDocumentsTest, ANumberOutOfRangeIsNamedByItsPlace) {
  const Output number = Ctl({"put", "h1/p1/flows/f1"}, R"({"a": 1e400})");
  EXPECT_EQ(number.exit_code, 9);
  EXPECT_THAT(number.err, HasSubstr("content_type says JSON, but this has a number out of range at "
                                    "byte 7"));
}

TEST_F(CliDocumentsTest, RmDeletesOnce) {
  ASSERT_EQ(Ctl({"put", "h1/p1/flows/f1"}, "{}").exit_code, 0);
  EXPECT_EQ(Ctl({"rm", "h1/p1/flows/f1"}).exit_code, 0);
  EXPECT_EQ(Ctl({"rm", "h1/p1/flows/f1"}).exit_code, 3);
  EXPECT_EQ(Ctl({"rm", "h1/p1/flows/f1", "--missing-ok"}).exit_code, 0);
}

TEST_F(CliDocumentsTest, LsListsHubProjectAndCollection) {
  ASSERT_EQ(Ctl({"project", "create", "h1/p2"}).exit_code, 0);
  ASSERT_EQ(Ctl({"put", "h1/p1/flows/f1", "--label", "b=2", "--label", "a=1"}, "{}").exit_code, 0);
  ASSERT_EQ(Ctl({"put", "h1/p1/runs/r1"}, "{}").exit_code, 0);
  ASSERT_EQ(Ctl({"put", "h1/p2/flows/f2"}, "{}").exit_code, 0);
  EXPECT_EQ(Ctl({"ls", "h1", "--json"}).JsonLines().size(), 3u);
  EXPECT_EQ(Ctl({"ls", "h1/p1", "--json"}).JsonLines().size(), 2u);
  const Output flows = Ctl({"ls", "h1/p1/flows"});
  EXPECT_THAT(flows.out, AllOf(HasSubstr("DOCUMENT        REVISION  UPDATED"),
                               HasSubstr("h1/p1/flows/f1  1         20"), HasSubstr("a=1 b=2")));
  EXPECT_THAT(Ctl({"ls", "h1/p1/none"}).out, HasSubstr("DOCUMENT"));
  EXPECT_EQ(Ctl({"ls", "h1/none"}).exit_code, 3);
}

TEST_F(CliDocumentsTest, TheSameDocumentIsTheSameJson) {
  std::vector<std::string> put = {"put", "h1/p1/flows/f1"};
  for (int i = 0; i < 20; ++i) {
    put.insert(put.end(), {"--label", absl::StrCat("k", (i * 7) % 20, "=v")});
  }
  ASSERT_EQ(Ctl(put, "{}").exit_code, 0);
  const Output shown = Ctl({"ls", "h1/p1", "--json"});
  std::vector<std::string> keys;
  const auto document = nlohmann::ordered_json::parse(shown.out);
  for (const auto& label : document["labels"].items()) keys.push_back(label.key());
  EXPECT_EQ(keys.size(), 20u);
  EXPECT_TRUE(std::is_sorted(keys.begin(), keys.end())) << shown.out;
}

TEST_F(CliDocumentsTest, WhatOthersStoredCannotDriveTheTerminal) {
  const std::string attack = "\033]0;owned\007\033[2J\xc2\x9b";
  ASSERT_EQ(
      Ctl({"put", "h1/p1/flows/f1", "--label", "team=" + attack, "--content-type", "text/plain"},
          attack)
          .exit_code,
      0);
  ASSERT_EQ(Ctl({"project", "update", "h1/p1", "--display-name", attack}).exit_code, 0);
  for (const Output& shown :
       {CtlOnTerminal({"ls", "h1"}), CtlOnTerminal({"project", "get", "h1/p1"}),
        CtlOnTerminal({"get", "h1/p1/flows/f1"})}) {
    EXPECT_EQ(shown.exit_code, 0);
    EXPECT_THAT(shown.out, AllOf(Not(HasSubstr("\033")), Not(HasSubstr("\007")),
                                 Not(HasSubstr("\xc2\x9b")), HasSubstr("\\x1b]0;owned\\x07")));
  }
  EXPECT_EQ(Ctl({"get", "h1/p1/flows/f1"}).out, attack) << "a pipe gets the bytes";
}

}  // namespace
}  // namespace cmkstore
