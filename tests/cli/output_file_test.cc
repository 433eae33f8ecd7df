// What --output names, and what is there before and after.

#include "cli/output_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>

#include "tests/cli/served_cli.h"
#include "tests/testing/temp_dir.h"

namespace cmkstore::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::KilledBySignal;

unsigned ModeOf(const std::string& path) {
  struct stat there = {};
  return lstat(path.c_str(), &there) == 0 ? there.st_mode & 0777 : 0;
}

size_t FilesIn(const std::string& directory) {
  const std::filesystem::directory_iterator files(directory);
  return static_cast<size_t>(std::distance(begin(files), end(files)));
}

class OutputFileTest : public ::testing::Test {
 protected:
  testing::TempDir dir_;
  const std::string path_ = dir_.path() + "/out";
};

TEST_F(OutputFileTest, ANewFileIsItsOwnersAndOneOfBeforeKeepsItsMode) {
  ASSERT_TRUE(WriteOutputFile(path_, "a").ok());
  EXPECT_EQ(ModeOf(path_), 0600u);
  chmod(path_.c_str(), 0640);
  ASSERT_TRUE(WriteOutputFile(path_, "b").ok());
  EXPECT_EQ(ModeOf(path_), 0640u);
  EXPECT_EQ(ReadFile(path_), "b");
}

TEST_F(OutputFileTest, UntilItIsKeptTheFileOfBeforeIsThere) {
  ASSERT_TRUE(WriteOutputFile(path_, "before").ok());
  chmod(path_.c_str(), 0644);
  {
    auto file = OutputFile::Open(path_);
    ASSERT_TRUE(file.ok()) << file.status();
    (*file)->Write("a part");
    for (const auto& entry : std::filesystem::directory_iterator(dir_.path())) {
      EXPECT_EQ(ModeOf(entry.path().string()), entry.path() == path_ ? 0644u : 0600u);
    }
    EXPECT_EQ(FilesIn(dir_.path()), 2u);
  }
  EXPECT_EQ(ReadFile(path_), "before");
  EXPECT_EQ(FilesIn(dir_.path()), 1u);
}

TEST_F(OutputFileTest, AnInterruptLeavesNothingBesideIt) {
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    const auto interrupted = [&] {
      const auto file = OutputFile::Open(path_);
      (*file)->Write(std::string(1 << 20, 'x'));
      if (FilesIn(dir_.path()) == 1) raise(signal);
    };
    EXPECT_EXIT(interrupted(), KilledBySignal(signal), "");
    EXPECT_EQ(FilesIn(dir_.path()), 0u);
  }
}

TEST_F(OutputFileTest, ALinkStaysAndLeadsToTheNewContent) {
  std::filesystem::create_directory(dir_.path() + "/below");
  const std::string link = dir_.path() + "/link", target = dir_.path() + "/below/target";
  std::filesystem::create_symlink("below/target", link);
  for (const char* content : {"made", "replaced"}) {
    ASSERT_TRUE(WriteOutputFile(link, content).ok());
    EXPECT_TRUE(std::filesystem::is_symlink(link));
    EXPECT_EQ(ReadFile(target), content);
  }
}

TEST_F(OutputFileTest, AFifoIsWrittenAndAReaderThatGoesIsTold) {
  ASSERT_EQ(mkfifo(path_.c_str(), 0600), 0);
  const int reader = open(path_.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  EXPECT_TRUE(WriteOutputFile(path_, "through it").ok());
  char read_text[64];
  EXPECT_EQ(read(reader, read_text, sizeof(read_text)), 10);

  auto file = OutputFile::Open(path_);
  ASSERT_TRUE(file.ok()) << file.status();
  close(reader);
  (*file)->Write(std::string(1 << 20, 'x'));
  EXPECT_THAT((*file)->Keep().message(), HasSubstr("Broken pipe"));
  EXPECT_TRUE(std::filesystem::is_fifo(path_));
}

class CliOutputTest : public ServedCli {};

TEST_F(CliOutputTest, ADeviceThatIsFullIsToldAndStays) {
  MakeHub();
  ASSERT_EQ(Ctl({"put", "h1/p1/notes/n1"}, "{}").exit_code, 0);
  const std::string full = dir_.path() + "/full";  // as /dev/full
  mknod(full.c_str(), S_IFCHR | 0600, makedev(1, 7));
  const int device = open(full.c_str(), O_WRONLY | O_CLOEXEC);
  if (device < 0) GTEST_SKIP() << "a device is root's to make, and not everywhere";
  close(device);
  for (const std::vector<std::string>& words :
       {std::vector<std::string>{"export", "h1", "--output", full},
        {"get", "h1/p1/notes/n1", "--output", full},
        {"coverage", "h1", "--html", full}}) {
    const testing::Output refused = Ctl(words);
    EXPECT_EQ(refused.exit_code, 2) << words[0];
    EXPECT_THAT(refused.err, HasSubstr("cannot write " + full + ": No space left on device"));
    EXPECT_TRUE(std::filesystem::is_character_file(full));
  }
}

}  // namespace
}  // namespace cmkstore::cli
