#include "service/backup/scrubber.h"

#include <pthread.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "base/errors.h"
#include "base/log.h"
#include "service/backup/pace.h"

namespace cmkstore::service {
namespace {

constexpr absl::Duration kSlice = absl::Milliseconds(200);
// A start has enough to do. A whole interval would be too long: who restarts each night would never
// have a pass.
constexpr absl::Duration kFirstAfter = absl::Minutes(5);

}  // namespace

Scrubber::Scrubber(const ScrubOptions& options, const store::ShardSet& shards, BackupStats& stats,
                   Clock& clock)
    : options_(options), shards_(shards), stats_(stats), clock_(clock) {
  if (options_.bytes_per_second == 0) return;
  thread_ = std::thread([this] { Loop(); });
  pthread_setname_np(thread_.native_handle(), "scrub");
}

Scrubber::~Scrubber() { Stop(); }

void Scrubber::Stop() {
  stopping_ = true;
  if (thread_.joinable()) thread_.join();
}

void Scrubber::Loop() {
  absl::Time next = clock_.MonotonicNow() + std::min(kFirstAfter, options_.interval);
  while (!stopping_) {
    if (clock_.MonotonicNow() < next) {
      clock_.Sleep(std::min(kSlice, options_.interval));
      continue;
    }
    next = clock_.MonotonicNow() + options_.interval;
    RunOnce();
  }
}

void Scrubber::RunOnce() {
  Pace pace(clock_, options_.bytes_per_second,
            [this] { return stopping_ ? Cancelled("the server stops") : absl::OkStatus(); });
  const absl::StatusOr<store::FileCheck> check =
      shards_.VerifyFiles([&](uint64_t bytes) { return pace.Spent(bytes); },
                          [this](const store::DamagedTableFile& file) {
                            stats_.integrity_errors.Add(1);
                            Log(LogLevel::kError, "integrity_finding",
                                {{"shard", absl::StrCat(file.shard)}, {"detail", file.what}});
                          });
  if (!check.ok()) {
    if (!absl::IsCancelled(check.status())) {
      Log(LogLevel::kWarning, "scrub_failed", {{"reason", ReasonOf(check.status())}});
    }
    return;
  }
  Log(LogLevel::kInfo, "scrub_ended",
      {{"files", absl::StrCat(check->files)}, {"bytes", absl::StrCat(check->bytes)}});
}

}  // namespace cmkstore::service
