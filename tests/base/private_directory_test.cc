#include "base/private_directory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>

#include "base/file.h"
#include "tests/testing/matchers.h"
#include "tests/testing/temp_dir.h"

namespace cmkstore {
namespace {

using ::testing::HasSubstr;

int ModeOf(const std::string& path) {
  struct stat found {};
  return stat(path.c_str(), &found) == 0 ? static_cast<int>(found.st_mode & 07777) : -1;
}

TEST(PrivateDirectoryTest, OneThatIsMadeIsItsOwnersAlone) {
  const testing::TempDir dir;
  for (const char* name : {"/data", "/above/data", "/far/above/the/data", "/slash/"}) {
    EXPECT_THAT(MakePrivateDirectory(dir.path() + name), testing::IsOk());
    EXPECT_EQ(ModeOf(dir.path() + name), 0700) << name;
  }
  EXPECT_THAT(MakePrivateDirectory(dir.path() + "/data"), testing::IsOk()) << "it is there";
}

TEST(PrivateDirectoryTest, OneThatIsThereIsLeftAsItIs) {
  const testing::TempDir dir;
  const std::string path = dir.path() + "/data";
  ASSERT_EQ(mkdir(path.c_str(), 0777), 0);
  ASSERT_EQ(chmod(path.c_str(), 0750), 0);
  EXPECT_THAT(MakePrivateDirectory(path), testing::IsOk());
  EXPECT_EQ(ModeOf(path), 0750);
}

TEST(PrivateDirectoryTest, OneThatCannotBeMadeIsNamedWithTheReason) {
  const testing::TempDir dir;
  const std::string file = dir.path() + "/file";
  ASSERT_TRUE(WriteFileDurably(file, "x"));
  EXPECT_THAT(std::string(MakePrivateDirectory(file).message()),
              HasSubstr("the directory " + file + " cannot be made: a file has that name"));
  EXPECT_THAT(std::string(MakePrivateDirectory(file + "/data").message()),
              HasSubstr("/file/data cannot be made: Not a directory"));
  EXPECT_THAT(std::string(MakePrivateDirectory("/proc/none").message()),
              HasSubstr("the directory /proc/none cannot be made: No such file"));
}

}  // namespace
}  // namespace cmkstore
