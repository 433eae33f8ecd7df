#pragma once

#include <cstdio>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace cmkstore::cli {

// What --output names. A file, or the one that a symbolic link leads to, is replaced at once, when
// all is on disk: one of ours keeps its mode and group; any other is then its owner's alone, for it
// holds what the store seals. After a failure or a SIGINT, SIGTERM or SIGHUP the file of before is
// there, and nothing beside it. What is no regular file, a device or a FIFO, is written where it
// is. One at a time in a process.
class OutputFile {
 public:
  // Errors: STATE_INVALID.
  static absl::StatusOr<std::unique_ptr<OutputFile>> Open(const std::string& path);
  ~OutputFile();
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  // What fails is told by Keep.
  void Write(absl::string_view text);
  // For the end, when all is written. Errors: STATE_INVALID.
  absl::Status Keep();

 private:
  OutputFile(std::string path, std::string target, std::string partial, FILE* stream)
      : path_(std::move(path)),
        target_(std::move(target)),
        partial_(std::move(partial)),
        stream_(stream) {}
  bool Replace();

  const std::string path_;     // as it was given
  const std::string target_;   // what is replaced
  const std::string partial_;  // what it is replaced by; empty: written in place
  FILE* stream_;
  int error_ = 0;  // the first
};

// All of such a file. Errors: STATE_INVALID.
absl::Status WriteOutputFile(const std::string& path, absl::string_view content);

}  // namespace cmkstore::cli
