#pragma once

#include <cstdint>
#include <string>

#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace cmkstore::cli {

// The line of a progress bar: "[#####     ]  50 %  1000 documents  500/s  2 s left". `part` is 0
// to 1.
std::string ProgressLine(double part, uint64_t documents, absl::Duration elapsed);

// The same of work whose rate says nothing: "[#####     ]  50 %  12 of 24".
std::string ShareLine(uint64_t done, uint64_t total);

// A progress bar on standard error; nothing at all if that is no terminal.
class Progress {
 public:
  // `total_bytes` 0: not known.
  explicit Progress(uint64_t total_bytes);
  void Show(uint64_t bytes, uint64_t documents);
  // Takes the bar away, before other output and at the end.
  void Clear();
  absl::Duration elapsed() const { return absl::Now() - began_; }

 private:
  const uint64_t total_;
  const bool on_terminal_;
  const absl::Time began_ = absl::Now();
  bool shown_ = false;
};

}  // namespace cmkstore::cli
