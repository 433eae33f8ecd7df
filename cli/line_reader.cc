#include "cli/line_reader.h"

namespace cmkstore::cli {

constexpr uint64_t kFnvPrime = 1099511628211u;

void LineReader::Count(char c) {
  place_.digest = (place_.digest ^ static_cast<uint8_t>(c)) * kFnvPrime;
  ++place_.offset;
}

bool LineReader::GoTo(const FilePlace& place) try {
  std::streambuf& bytes = *input_.rdbuf();
  for (uint64_t i = 0; i < place.offset; ++i) {
    const int c = bytes.sbumpc();
    if (c == std::streambuf::traits_type::eof()) break;
    Count(static_cast<char>(c));
  }
  const bool same = place_.offset == place.offset && place_.digest == place.digest;
  if (!same) input_.seekg(0);
  place_ = same ? place : FilePlace();
  return same;
} catch (const std::ios_base::failure&) {
  input_.seekg(0);
  place_ = FilePlace();
  return false;
}

LineReader::Result LineReader::Next(std::string& line) try {
  line.clear();
  std::streambuf& bytes = *input_.rdbuf();
  bool any = false, too_long = false;
  for (int c = bytes.sbumpc(); c != std::streambuf::traits_type::eof(); c = bytes.sbumpc()) {
    any = true;
    Count(static_cast<char>(c));
    if (c == '\n') break;
    too_long = too_long || line.size() == kMaxLineBytes;
    if (!too_long) line += static_cast<char>(c);
  }
  if (!any) return Result::kEnd;
  ++place_.line;
  if (!too_long) return Result::kLine;
  line.clear();
  return Result::kTooLong;
} catch (const std::ios_base::failure&) {
  line.clear();
  return Result::kFailed;
}

}  // namespace cmkstore::cli
