#pragma once

#include <atomic>
#include <thread>

#include "base/clock.h"
#include "service/backup/backup_options.h"
#include "store/rocksdb/shard_set.h"

namespace cmkstore::service {

// Reads the table files that are served from, slowly and again and again, and compares them with
// their checksums: a bit that rotted is known while there is still a backup without it.
//
// All must outlive this. Thread-safe.
class Scrubber {
 public:
  // Begins the first pass some minutes after this. Tells of damage at once, in the log and in
  // `stats`, also where the pass does not get to its end.
  Scrubber(const ScrubOptions& options, const store::ShardSet& shards, BackupStats& stats,
           Clock& clock);
  ~Scrubber();
  void Stop();

 private:
  void Loop();
  void RunOnce();

  const ScrubOptions options_;
  const store::ShardSet& shards_;
  BackupStats& stats_;
  Clock& clock_;
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

}  // namespace cmkstore::service
