#include "service/health.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace cmkstore::service {
namespace {

constexpr absl::Duration kMaxSilence = absl::Seconds(60);

std::string Line(bool ok, absl::string_view what) {
  return absl::StrCat(ok ? "ok   " : "FAIL ", what);
}

}  // namespace

Health::Health(uint64_t min_free_disk, Clock& clock)
    : min_free_disk_(min_free_disk), clock_(clock), last_report_(clock.MonotonicNow()) {}

bool Health::Report(const HealthFacts& facts) {
  absl::MutexLock lock(&mutex_);
  const bool before = ReadyLocked().ok;
  const bool first = !std::exchange(reported_, true);
  facts_ = facts;
  last_report_ = clock_.MonotonicNow();
  return first || ReadyLocked().ok != before;
}

void Health::Started() {
  absl::MutexLock lock(&mutex_);
  if (phase_ == Phase::kStarting) phase_ = Phase::kServing;
  last_report_ = clock_.MonotonicNow();
}

void Health::Drain() {
  absl::MutexLock lock(&mutex_);
  phase_ = Phase::kDraining;
}

HealthAnswer Health::Live() const {
  absl::MutexLock lock(&mutex_);
  // Opening a large store may take long, and ending too: neither is a reason to be killed.
  const bool ticking =
      phase_ != Phase::kServing || clock_.MonotonicNow() - last_report_ < kMaxSilence;
  const bool answering = phase_ != Phase::kServing || facts_.queue_silence < kMaxSilence;
  return {ticking && answering,
          {Line(ticking, "the background thread reports"),
           Line(answering, "every request queue answers")}};
}

HealthAnswer Health::Startup() const {
  absl::MutexLock lock(&mutex_);
  const bool started = phase_ != Phase::kStarting;
  return {started, {Line(started, "the store is open and calls are taken")}};
}

HealthAnswer Health::ReadyLocked() const {
  const bool serving = phase_ == Phase::kServing;
  const bool shards = facts_.shards > 0 && facts_.shards_stopped == 0;
  const bool disk = facts_.free_disk_bytes >= min_free_disk_;
  return {serving && shards && disk,
          {Line(serving, phase_ == Phase::kStarting   ? "starting"
                         : phase_ == Phase::kDraining ? "shutting down"
                                                      : "serving"),
           Line(shards, absl::StrCat(facts_.shards - facts_.shards_stopped, " of ", facts_.shards,
                                     " shards take writes")),
           Line(disk, absl::StrCat(facts_.free_disk_bytes >> 20, " MiB of disk are free, ",
                                   min_free_disk_ >> 20, " are needed"))}};
}

HealthAnswer Health::Ready() const {
  absl::MutexLock lock(&mutex_);
  return ReadyLocked();
}

std::string Health::State() const {
  absl::MutexLock lock(&mutex_);
  switch (phase_) {
    case Phase::kStarting: return "starting";
    case Phase::kDraining: return "draining";
    case Phase::kServing: break;
  }
  return ReadyLocked().ok ? "serving" : "not ready";
}

}  // namespace cmkstore::service
