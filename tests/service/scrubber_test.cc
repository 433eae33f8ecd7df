// The background reading of table files: what it finds, and that it keeps to its pace and its end.

#include "service/backup/scrubber.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "tests/store/apply_and_wait.h"
#include "tests/testing/matchers.h"
#include "tests/testing/temp_dir.h"
#include "tests/testing/virtual_clock.h"

namespace cmkstore::service {
namespace {

using ::testing::HasSubstr;
using testing::IsOk;
using ::testing::Not;

constexpr absl::Duration kInterval = absl::Seconds(1);

// A clock by which one pass begins, and no other: it stands still when the interval is over. It
// knows how long the pass was made to wait for its pace, and can stand still in that too.
class OnePassClock final : public Clock {
 public:
  absl::Time WallNow() const override { return clock_.WallNow(); }
  absl::Time MonotonicNow() const override { return clock_.MonotonicNow(); }
  void Sleep(absl::Duration duration) override {
    if (duration > absl::Milliseconds(100)) {  // between passes
      if (between_ >= between_at_most) return absl::SleepFor(absl::Milliseconds(1));
      between_ += duration;
      return clock_.Sleep(duration);
    }
    if (stands_in_pass) {
      if (!waited_for.HasBeenNotified()) waited_for.Notify();
      return absl::SleepFor(absl::Milliseconds(1));
    }
    clock_.Sleep(duration);
    paced += duration;
  }

  bool stands_in_pass = false;  // before the scrubber starts
  absl::Duration between_at_most = kInterval;
  absl::Notification waited_for;
  absl::Duration paced;  // after the scrubber has stopped

 private:
  testing::VirtualClock clock_;
  absl::Duration between_;  // the scrubber's thread
};

class ScrubberTest : public ::testing::Test {
 protected:
  ScrubberTest() {
    SetLogFile(log_);
    options_.directory = dir_.path() + "/shards";
    options_.shards = 2;
    Open();
    for (int i = 0; i < 200; ++i) {
      EXPECT_THAT(store::ApplyAndWait(*shards_, {1, std::string(16, 'h')},
                                      store::PutOne(absl::StrCat("k", i), std::string(300, 'v'))),
                  IsOk());
    }
    Open();  // which makes a table of the log
  }
  ~ScrubberTest() override { SetLogFile("/dev/stderr"); }

  void Open() {
    shards_.reset();
    auto opened = store::ShardSet::Open(options_);
    ASSERT_THAT(opened, IsOk());
    shards_ = *std::move(opened);
  }
  std::filesystem::path TableFile() const {
    std::filesystem::path largest;
    for (const auto& file : std::filesystem::recursive_directory_iterator(options_.directory)) {
      if (file.path().extension() != ".sst") continue;
      if (largest.empty() || file.file_size() > std::filesystem::file_size(largest)) {
        largest = file.path();
      }
    }
    return largest;
  }
  uintmax_t TableBytes() const {
    uintmax_t bytes = 0;
    for (const auto& file : std::filesystem::recursive_directory_iterator(options_.directory)) {
      if (file.path().extension() == ".sst") bytes += file.file_size();
    }
    return bytes;
  }
  static void FlipBit(const std::string& path) {
    std::string content = *ReadFile(path);
    content[content.size() / 2] = static_cast<char>(content[content.size() / 2] ^ 0x10);
    ASSERT_TRUE(WriteFileDurably(path, content));
  }
  std::string AwaitLine(const std::string& event) {
    std::string log;
    const absl::Time give_up = absl::Now() + absl::Seconds(20);
    while (log.find(event) == std::string::npos && absl::Now() < give_up) {
      absl::SleepFor(absl::Milliseconds(1));
      log = *ReadFile(log_);
    }
    return log;
  }

  testing::TempDir dir_;
  const std::string log_ = dir_.path() + "/log.jsonl";
  OnePassClock clock_;
  BackupStats stats_;
  store::ShardSetOptions options_;
  std::unique_ptr<store::ShardSet> shards_;
};

TEST_F(ScrubberTest, ABitThatRotsInATableFileIsCountedAndItsFileNamed) {
  const std::filesystem::path table = TableFile();
  FlipBit(table);
  Scrubber scrubber({kInterval, 1u << 20}, *shards_, stats_, clock_);
  const std::string log = AwaitLine("scrub_ended");
  EXPECT_THAT(log, HasSubstr("integrity_finding"));
  EXPECT_THAT(log, HasSubstr("\"shard\":\""));
  EXPECT_THAT(log, HasSubstr(absl::StrCat(table.filename().string(), " does not match")));
  EXPECT_EQ(stats_.integrity_errors.value(), 1u);
}

TEST_F(ScrubberTest, TheFirstPassBeginsSomeMinutesAfterTheStart) {
  clock_.between_at_most = absl::Minutes(6);
  Scrubber scrubber({absl::Hours(24), 1u << 20}, *shards_, stats_, clock_);
  EXPECT_THAT(AwaitLine("scrub_ended"), HasSubstr("scrub_ended"));
}

TEST_F(ScrubberTest, SoundFilesAreReadAndNothingIsCounted) {
  Scrubber scrubber({kInterval, 1u << 20}, *shards_, stats_, clock_);
  const std::string log = AwaitLine("scrub_ended");
  EXPECT_THAT(log, HasSubstr("scrub_ended"));
  EXPECT_THAT(log, Not(HasSubstr("\"bytes\":\"0\""))) << "it read something";
  EXPECT_THAT(log, Not(HasSubstr("integrity_finding")));
  EXPECT_EQ(stats_.integrity_errors.value(), 0u);
}

TEST_F(ScrubberTest, APassTakesTheTimeThatItsBandwidthGives) {
  const double rate = 100;  // bytes a second
  Scrubber scrubber({kInterval, static_cast<uint64_t>(rate)}, *shards_, stats_, clock_);
  AwaitLine("scrub_ended");
  scrubber.Stop();
  const double seconds = static_cast<double>(TableBytes()) / rate;
  // The next pass may have begun, or ended, before the stop.
  int passes = 0;
  const std::string log = *ReadFile(log_);
  for (size_t at = 0; (at = log.find("scrub_ended", at)) != std::string::npos; ++at) ++passes;
  EXPECT_GE(absl::ToDoubleSeconds(clock_.paced), 0.9 * seconds * passes);
  EXPECT_LE(absl::ToDoubleSeconds(clock_.paced), 1.1 * seconds * (passes + 1));
}

TEST_F(ScrubberTest, AStopEndsAPassInItsMiddleAndIsNoFailure) {
  clock_.stands_in_pass = true;
  Scrubber scrubber({kInterval, 1}, *shards_, stats_, clock_);
  clock_.waited_for.WaitForNotification();
  scrubber.Stop();
  EXPECT_THAT(*ReadFile(log_), Not(HasSubstr("scrub_failed")));
  EXPECT_THAT(*ReadFile(log_), Not(HasSubstr("scrub_ended")));
}

}  // namespace
}  // namespace cmkstore::service
