#pragma once

#include <atomic>
#include <cstdint>
#include <string>

#include "absl/time/time.h"
#include "base/metrics.h"

namespace cmkstore::service {

// Where backups go, and how fast.
struct BackupOptions {
  std::string directory;           // empty: there are no backups
  std::string receipts_directory;  // of purges; empty: `purged` in the directory
  uint32_t keep = 14;              // backups of this store that stay
  uint64_t bytes_per_second = 64u << 20;

  std::string receipts() const {
    return receipts_directory.empty() ? directory + "/purged" : receipts_directory;
  }
};

// How the files that are served from are looked at, again and again.
struct ScrubOptions {
  absl::Duration interval = absl::Hours(24);  // from the begin of a pass to that of the next
  uint64_t bytes_per_second = 4u << 20;       // 0: never
};

// What backups and looks have done since the start. Thread-safe.
struct BackupStats {
  std::atomic<int64_t> last_success_micros{0};  // of the newest backup; 0: none
  Counter integrity_errors;
};

}  // namespace cmkstore::service
