// A writer process is killed by SIGKILL at random moments; what it was told is durable must be
// there, and what it was refused must not.

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/errors.h"
#include "store/rocksdb/shard_set.h"
#include "tests/testing/matchers.h"
#include "tests/testing/temp_dir.h"

namespace cmkstore::store {
namespace {

constexpr int kWriters = 16;

struct Report {
  uint32_t writer;
  uint32_t number;
  uint32_t acknowledged;  // else refused
};

Partition HubOf(uint32_t writer) {
  return {writer % 2, std::string(16, static_cast<char>('a' + writer % 4))};
}

std::string RowOf(const Report& report) {
  return absl::StrCat("w", report.writer, "-", report.number);
}

// Never returns: writes until it is killed, reporting each answer after it came. Every tenth write
// is one that must be refused.
[[noreturn]] void WriteForEver(const ShardSetOptions& options, int reports, uint32_t first) {
  auto engine = ShardSet::Open(options);
  if (!engine.ok()) _exit(1);
  std::vector<std::thread> threads;
  for (uint32_t writer = 0; writer < kWriters; ++writer) {
    threads.emplace_back([&, writer] {
      for (uint32_t number = first;; ++number) {
        Report report{writer, number, 0};
        WriteSet writes;
        writes.PutRecord(RowOf(report), std::string(200, 'v'));
        if (number % 10 == 9) writes.RequirePresent("never", NotFound("document"));
        absl::Mutex mutex;
        bool done = false;
        (*engine)->Apply(HubOf(writer), std::move(writes), [&](absl::StatusOr<Sequence> result) {
          absl::MutexLock lock(&mutex);
          report.acknowledged = result.ok();
          done = true;
        });
        absl::MutexLock lock(&mutex);
        mutex.Await(absl::Condition(&done));
        if (write(reports, &report, sizeof(report)) != sizeof(report)) _exit(2);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  _exit(3);
}

void ExpectJustWhatWasAcknowledged(const ShardSetOptions& options,
                                   const std::vector<Report>& reports) {
  auto engine = ShardSet::Open(options);
  ASSERT_THAT(engine, testing::IsOk());
  for (const Report& one : reports) {
    auto row = (*engine)->Get(HubOf(one.writer), RowOf(one));
    ASSERT_THAT(row, testing::IsOk());
    ASSERT_EQ(row->has_value(), one.acknowledged != 0) << RowOf(one);
  }
}

// Only children open the store. A process that has done so has RocksDB's threads, which a fork of
// it believes to have as well: nothing would be compacted there, until writes stop for good.
TEST(KillTest, AcknowledgedWritesSurviveAndRefusedOnesNeverShow) {
  const char* wanted = std::getenv("CMKSTORE_KILLS");
  const int rounds = wanted != nullptr ? std::atoi(wanted) : 50;
  testing::TempDir dir;
  ShardSetOptions options;
  options.directory = dir.path();
  options.shards = 2;
  std::mt19937 random(20261124);
  uint64_t acknowledged = 0;
  for (int round = 0; round < rounds; ++round) {
    int pipe_ends[2];
    ASSERT_EQ(pipe(pipe_ends), 0);
    const pid_t child = fork();
    if (child == 0) {
      close(pipe_ends[0]);
      WriteForEver(options, pipe_ends[1], static_cast<uint32_t>(round) * 1'000'000);
    }
    close(pipe_ends[1]);
    std::vector<Report> reports;
    Report report;
    const auto read_one = [&] {
      if (read(pipe_ends[0], &report, sizeof(report)) != sizeof(report)) return false;
      reports.push_back(report);
      return true;
    };
    // On a machine that is busy an engine may take long to open.
    while (read_one() && report.acknowledged == 0) continue;
    absl::SleepFor(absl::Milliseconds(random() % 60));
    kill(child, SIGKILL);
    int status = 0;
    waitpid(child, &status, 0);
    ASSERT_TRUE(WIFSIGNALED(status)) << "the writer ended by itself";
    while (read_one()) continue;
    close(pipe_ends[0]);

    const pid_t reader = fork();
    if (reader == 0) {
      ExpectJustWhatWasAcknowledged(options, reports);
      std::fflush(stdout);
      _exit(::testing::Test::HasFailure() ? 1 : 0);
    }
    waitpid(reader, &status, 0);
    ASSERT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << "in round " << round;
    for (const Report& one : reports) acknowledged += one.acknowledged;
  }
  EXPECT_GT(acknowledged, 0u);
  std::printf("%d kills, %llu acknowledged writes, 0 lost\n", rounds,
              static_cast<unsigned long long>(acknowledged));
}

}  // namespace
}  // namespace cmkstore::store
