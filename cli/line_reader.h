#pragma once

#include <cstdint>
#include <istream>
#include <string>

namespace cmkstore::cli {

// A place in a file between two lines, and a digest of all before it, by which a later run sees
// whether it is still the same file up to there.
struct FilePlace {
  uint64_t offset = 0;
  uint64_t line = 0;                        // number of the last line before it; 0 at the beginning
  uint64_t digest = 14695981039346656037u;  // FNV-1a; not against an adversary
};

// Reads lines of bounded length.
class LineReader {
 public:
  static constexpr size_t kMaxLineBytes = 8u << 20;
  enum class Result { kLine, kTooLong, kEnd, kFailed };

  // `input` must outlive this and be at its beginning.
  explicit LineReader(std::istream& input) : input_(input) {}

  // Goes to `place` if what stands before it is what stood there then; else stays at the beginning.
  bool GoTo(const FilePlace& place);
  // The next line without its line feed; empty when it was too long, or could not be read.
  Result Next(std::string& line);
  const FilePlace& place() const { return place_; }

 private:
  void Count(char c);

  std::istream& input_;
  FilePlace place_;
};

}  // namespace cmkstore::cli
