// import and export through the real cmkctl.

#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "cli/import_checkpoint.h"
#include "tests/cli/served_cli.h"

namespace cmkstore {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using testing::Output;

std::string LineOf(int number) {
  return absl::StrCat(R"({"collection": "flows", "id": "f)", number,
                      R"(", "labels": {"team": "retail", "stage": "dev"}, "content": {"n": )",
                      number, "}}\n");
}

class CliImportTest : public ServedCli {
 protected:
  void SetUp() override { MakeHub(); }

  size_t Count(const std::string& parent) {
    return Ctl({"ls", parent, "--json"}).JsonLines().size();
  }
};

TEST_F(CliImportTest, BadLinesAreReportedWithTheirNumberAndTheRestIsImported) {
  std::string file;
  for (int i = 0; i < 250; ++i) file += LineOf(i);  // 1 to 250
  file += "{not json\n";                            // 251
  file += R"({"collection": "flows", "content": {}})"
          "\n";                                                     // 252: no id
  file += "\n";                                                     // 253: empty, no error
  file += R"({"collection": "flows", "id": "deep", "content": )" +  // 254: only the server
          std::string(200, '[') + std::string(200, ']') + "}\n";    //      finds it too deep
  file += R"({"collection": "flows", "id": "long", "content": {}, "labels": {"k": ")" +  // 255
          std::string(300, 'v') + "\"}}\n";
  file += R"({"collection": "flows", "id": "big", "content": ")" +  // 256
          std::string(1 << 20, 'x') + "y\"}\n";
  file += LineOf(250);  // 257
  const std::string path = WriteInput("documents.jsonl", file);
  const Output imported = Ctl({"import", "h1", path, "--project", "p1"});
  EXPECT_EQ(imported.exit_code, 9);
  EXPECT_THAT(imported.out, HasSubstr("251 documents stored, 5 bad lines"));
  for (const char* line :
       {":251: line: is not well-formed JSON at byte 3", ":252: id: ", ":254: content: ",
        ":255: labels: a value must be at most 256 bytes", ":256: content: "}) {
    EXPECT_THAT(imported.err, HasSubstr(path + line));
  }
  EXPECT_EQ(Count("h1"), 251u);
  EXPECT_FALSE(std::filesystem::exists(cli::CheckpointPath(path))) << "it is done";
}

TEST_F(CliImportTest, SummaryIsJsonForPrograms) {
  const std::string path = WriteInput("documents.jsonl", LineOf(1) + "nonsense\n");
  const Output imported = Ctl({"import", "h1", path, "--project", "p1", "--json"});
  EXPECT_EQ(imported.exit_code, 9);
  EXPECT_EQ(imported.Json()["stored"], 1);
  EXPECT_EQ(imported.Json()["bad_lines"][0]["line"], 2);
}

TEST_F(CliImportTest, ProjectsMustExistOrAreMadeOnRequest) {
  const std::string path = WriteInput("documents.jsonl", LineOf(1));
  const Output refused = Ctl({"import", "h1", path});
  EXPECT_EQ(refused.exit_code, 3);
  EXPECT_THAT(refused.err, AllOf(HasSubstr("[PROJECT_NOT_FOUND]"), HasSubstr("project create"),
                                 HasSubstr(path + ":1: h1/default/flows/f1 cannot be stored")));
  EXPECT_FALSE(std::filesystem::exists(cli::CheckpointPath(path))) << "nothing to go on with";
  EXPECT_EQ(Ctl({"import", "h1", path, "--create-projects"}).exit_code, 0);
  EXPECT_EQ(Count("h1/default"), 1u);
  EXPECT_EQ(Ctl({"import", "h1", "/nonexistent"}).exit_code, 2);
  EXPECT_EQ(Ctl({"import", "h1", path, "--project", "p1"}, "", "reader").exit_code, 4);
}

TEST_F(CliImportTest, AnImportThatMissesAProjectNamesItsLineAndGoesOnOnceItIsMade) {
  std::string file;
  for (int i = 0; i < 300; ++i) {
    const bool bad = i == 10 || i == 240;  // of the first batch, and of what is read again
    file += absl::StrCat(bad ? "bad " : "", R"({"project": ")", i == 250 ? "later" : "p1",
                         R"(", "collection": "c", "id": "d)", i, R"(", "content": 1})", "\n");
  }
  const std::string path = WriteInput("documents.jsonl", file);
  const Output stopped = Ctl({"import", "h1", path});
  EXPECT_EQ(stopped.exit_code, 3);
  EXPECT_THAT(stopped.err, HasSubstr(path + ":251: h1/later/c/d250 cannot be stored"));
  EXPECT_THAT(stopped.out, HasSubstr("200 documents stored, 2 bad lines, "));
  ASSERT_EQ(Ctl({"project", "create", "h1/later"}).exit_code, 0);
  const Output rest = Ctl({"import", "h1", path});
  EXPECT_EQ(rest.exit_code, 9) << rest.err;
  EXPECT_THAT(rest.err, HasSubstr("200 documents are stored and 1 bad lines reported already"));
  EXPECT_THAT(rest.out, HasSubstr("298 documents stored, 2 bad lines in all, resumed after line "
                                  "201, "));
  EXPECT_EQ(Count("h1"), 298u);
}

TEST_F(CliImportTest, OneFileIsImportedOnceAtATimeAndAPipeComesByStandardInput) {
  const std::string path = WriteInput("documents.jsonl", LineOf(1));
  const int other = open(path.c_str(), O_RDONLY);
  ASSERT_EQ(flock(other, LOCK_EX), 0);
  const Output refused = Ctl({"import", "h1", path, "--project", "p1"});
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_THAT(refused.err, HasSubstr("is being imported already"));
  close(other);
  EXPECT_EQ(Ctl({"import", "h1", path, "--project", "p1"}).exit_code, 0);
  const std::string pipe = path + ".pipe";
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  const Output no_file = Ctl({"import", "h1", pipe, "--project", "p1"});
  EXPECT_EQ(no_file.exit_code, 2);
  EXPECT_THAT(no_file.err, HasSubstr("give - for the file"));
}

TEST_F(CliImportTest, TheLastLineOfADocumentWins) {
  const std::string path =
      WriteInput("documents.jsonl", R"({"collection": "c", "id": "d", "content": 1})"
                                    "\n"
                                    R"({"collection": "c", "id": "d", "content": 2})"
                                    "\n");
  ASSERT_EQ(Ctl({"import", "h1", path, "--project", "p1"}).exit_code, 0);
  EXPECT_EQ(Ctl({"get", "h1/p1/c/d"}).out, "2");
}

TEST_F(CliImportTest, WhatCameFarInAnotherHubOfThatNameBeginsAnew) {
  std::string file;
  for (int i = 0; i < 20; ++i) file += LineOf(i);
  const std::string path = WriteInput("documents.jsonl", file);
  cli::ImportCheckpoint left = cli::NewImport(absl::StrCat(kHub, " ", std::string(32, 'a'), " p1"));
  {
    std::ifstream input(path);
    cli::LineReader reader(input);
    for (std::string line; reader.Next(line) == cli::LineReader::Result::kLine;) continue;
    left.place = reader.place();
  }
  left.stored = 20;
  WriteInput("documents.jsonl.cmkctl-import", cli::FormatCheckpoint(left));
  const Output imported = Ctl({"import", "h1", path, "--project", "p1", "--json"});
  EXPECT_EQ(imported.Json()["resumed_after_line"], 0);
  EXPECT_EQ(Ctl({"ls", "h1/p1", "--json"}).JsonLines().size(), 20u);
}

TEST_F(CliImportTest, AnInterruptedImportGoesOnWhereItWasAndStoresNothingTwice) {
  // A first part is imported; the checkpoint that a kill right after it leaves is put back.
  std::string file;
  for (int i = 0; i < 200; ++i) file += LineOf(i);
  const std::string path = WriteInput("documents.jsonl", file);
  const std::string uid = Ctl({"hub", "get", "h1", "--json"}).Json()["uid"];
  cli::ImportCheckpoint left = cli::NewImport(absl::StrCat(kHub, " ", uid, " p1"));
  {
    std::ifstream input(path);
    cli::LineReader reader(input);
    for (std::string line; reader.Next(line) == cli::LineReader::Result::kLine;) continue;
    left.place = reader.place();
  }
  left.stored = 200;
  ASSERT_EQ(Ctl({"import", "h1", path, "--project", "p1"}).exit_code, 0);
  for (int i = 200; i < 300; ++i) file += LineOf(i);
  WriteInput("documents.jsonl", file);
  WriteInput("documents.jsonl.cmkctl-import", cli::FormatCheckpoint(left));
  const Output resumed = Ctl({"import", "h1", path, "--project", "p1", "--json"});
  EXPECT_EQ(resumed.exit_code, 0) << resumed.err;
  EXPECT_THAT(resumed.err,
              HasSubstr("going on after line 200; 200 documents are stored and 0 bad"));
  EXPECT_EQ(resumed.Json()["stored"], 300);
  for (const auto& document : Ctl({"ls", "h1/p1", "--json"}).JsonLines()) {
    EXPECT_EQ(document["revision"], "1") << document["name"];
  }
  EXPECT_EQ(Count("h1/p1"), 300u);
  // The file is another one now: nothing of it may be skipped.
  WriteInput("documents.jsonl.cmkctl-import", cli::FormatCheckpoint(left));
  WriteInput("documents.jsonl", LineOf(500) + file);
  const Output anew = Ctl({"import", "h1", path, "--project", "p1", "--json"});
  EXPECT_THAT(anew.err, HasSubstr("has changed since the import began"));
  EXPECT_EQ(anew.Json()["stored"], 301);
}

TEST_F(CliImportTest, AKilledImportLosesNothingWhenItIsRunAgain) {
  std::string file;
  for (int i = 0; i < 3000; ++i) file += LineOf(i);
  const std::string path = WriteInput("documents.jsonl", file);
  const std::vector<std::string> command = {"import", "h1", path, "--project", "p1"};
  testing::RunOptions options;
  options.environment = Environment("owner");
  const pid_t child = testing::StartCmkctl(command, options);
  const absl::Time give_up = absl::Now() + absl::Seconds(60);
  const auto lines_done = [&path] {
    const auto text = ReadFile(cli::CheckpointPath(path));
    const auto checkpoint = text.has_value() ? cli::ParseCheckpoint(*text) : std::nullopt;
    return checkpoint.has_value() ? checkpoint->place.line : 0;
  };
  while (lines_done() == 0 && absl::Now() < give_up) absl::SleepFor(absl::Milliseconds(1));
  kill(child, SIGKILL);
  int state = 0;
  waitpid(child, &state, 0);
  ASSERT_TRUE(WIFSIGNALED(state)) << "it ended before it could be killed";
  const Output resumed = Ctl(command);
  EXPECT_EQ(resumed.exit_code, 0) << resumed.err;
  EXPECT_THAT(resumed.err, HasSubstr("going on after line"));
  EXPECT_THAT(resumed.out, HasSubstr("3000 documents stored, 0 bad lines in all"));
  const auto documents = Ctl({"ls", "h1/p1", "--json"}).JsonLines();
  EXPECT_EQ(documents.size(), 3000u);
  for (const auto& document : documents) {
    ASSERT_EQ(document["revision"], "1") << "a batch in doubt is not stored twice";
  }
}

TEST_F(CliImportTest, AFileThatIsCutShortMeanwhileEndsItsImport) {
  std::string file;
  const std::string text(10'000, 'x');
  for (int i = 0; i < 1000; ++i) {
    file += absl::StrCat(R"({"collection": "c", "id": "d)", i, R"(", "content": ")", text, "\"}\n");
  }
  const std::string path = WriteInput("documents.jsonl", file);
  std::thread cutting([&] {
    const absl::Time give_up = absl::Now() + absl::Seconds(60);
    while (!ReadFile(cli::CheckpointPath(path)).has_value() && absl::Now() < give_up) {
      absl::SleepFor(absl::Milliseconds(1));
    }
    std::filesystem::resize_file(path, 5'000'000);
  });
  const Output cut = Ctl({"import", "h1", path, "--project", "p1"});
  cutting.join();
  EXPECT_EQ(cut.exit_code, 2);
  EXPECT_THAT(cut.err, HasSubstr("documents.jsonl has become shorter after line "));
  WriteInput("documents.jsonl", file);
  EXPECT_EQ(Ctl({"import", "h1", path, "--project", "p1"}).exit_code, 0);
  EXPECT_EQ(Count("h1/p1"), 1000u);
}

TEST_F(CliImportTest, AnExportIsImportedToTheSameDocuments) {
  ASSERT_EQ(Ctl({"project", "create", "h1/p2"}).exit_code, 0);
  const std::string pretty = "{\n  \"big\": 12345678901234567890123,\n  \"exact\": 1.10\n}\n";
  const std::string binary("\x00\xff\x1b", 3);
  ASSERT_EQ(
      Ctl({"put", "h1/p1/c/json", "--label", "k=v\"\\"}, "{\"x\": 1.10, \"x\" : [ ]}").exit_code,
      0);
  ASSERT_EQ(Ctl({"put", "h1/p1/c/pretty"}, pretty).exit_code, 0);
  ASSERT_EQ(Ctl({"put", "h1/p1/c/string"}, "\"a string\"").exit_code, 0);
  ASSERT_EQ(
      Ctl({"put", "h1/p2/c/text", "--content-type", "text/markdown"}, "# \xc3\xa9\n").exit_code, 0);
  ASSERT_EQ(Ctl({"put", "h1/p2/c/binary", "--content-type", "image/x"}, binary).exit_code, 0);
  ASSERT_EQ(Ctl({"put", "h1/p2/c/empty"}, "").exit_code, 0);
  const std::string path = dir_.path() + "/h1.jsonl";
  const Output exported = Ctl({"export", "h1", "--output", path});
  EXPECT_EQ(exported.exit_code, 0) << exported.err;
  EXPECT_THAT(exported.err, HasSubstr("6 documents exported"));
  ASSERT_EQ(Ctl({"hub", "create", "h2", "--platform-managed"}).exit_code, 0);
  const Output imported = Ctl({"import", "h2", path, "--create-projects"});
  EXPECT_EQ(imported.exit_code, 0) << imported.err;
  for (const char* name :
       {"p1/c/json", "p1/c/pretty", "p1/c/string", "p2/c/text", "p2/c/binary", "p2/c/empty"}) {
    const auto before = Ctl({"get", absl::StrCat("h1/", name), "--json"}).Json();
    const auto after = Ctl({"get", absl::StrCat("h2/", name), "--json"}).Json();
    for (const char* field : {"content", "contentType", "labels"}) {
      EXPECT_EQ(before.value(field, nlohmann::json()), after.value(field, nlohmann::json()))
          << name << " " << field;
    }
  }
  EXPECT_EQ(Ctl({"get", "h2/p1/c/pretty"}).out, pretty);
  EXPECT_EQ(Ctl({"get", "h2/p2/c/binary"}).out, binary);
  // Through a pipe, and of a part.
  const Output part = Ctl({"export", "h1/p1/c"});
  EXPECT_EQ(part.JsonLines().size(), 3u);
  EXPECT_EQ(
      Ctl({"import", "h2", "-", "--project", "copy", "--create-projects"}, part.out).exit_code, 0);
  EXPECT_EQ(Count("h2/copy"), 3u);
}

TEST_F(CliImportTest, AnExportThatFailsLeavesNoFile) {
  const std::string path = dir_.path() + "/none.jsonl";
  EXPECT_EQ(Ctl({"export", "h1/none", "--output", path}).exit_code, 3);
  for (const auto& entry : std::filesystem::directory_iterator(dir_.path())) {
    EXPECT_THAT(entry.path().string(), Not(HasSubstr("none.jsonl")));
  }
}

TEST_F(CliImportTest, RealMetadataIsImportedAndFound) {
  std::string path = CMKSTORE_SOURCE_DIR "/../shared/samples/ai_studio_metadata.jsonl";
  const bool real = std::filesystem::exists(path);
  // Beside the file a checkpoint would be written.
  const std::string copy = dir_.path() + "/sample.jsonl";
  std::filesystem::copy_file(real ? path : CMKSTORE_SOURCE_DIR "/samples/ai_studio.jsonl", copy);
  const auto imported = Ctl({"import", "h1", copy, "--project", "p1", "--json"}).Json();
  EXPECT_EQ(imported["stored"], real ? 754 : 360);
  EXPECT_EQ(imported["bad"], 0);
  const std::string last = Ctl({"put", "h1/p1/c/last", "--json"}, "{}").Json()["sequence"];
  const Output found =
      Ctl({"search", "h1", real ? "promptflow" : "retail", "--json", "--min-sequence", last});
  EXPECT_GT(std::stoi(found.Json()["totalSize"].get<std::string>()), 0);
}

}  // namespace
}  // namespace cmkstore
