#include "cli/progress.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "absl/strings/str_format.h"

namespace cmkstore::cli {
namespace {

constexpr int kWidth = 30;

std::string Bar(double part) {
  const std::string filled(static_cast<size_t>(part * kWidth), '#');
  return absl::StrFormat("[%-30s] %3.0f %%", filled, part * 100);
}

}  // namespace

std::string ShareLine(uint64_t done, uint64_t total) {
  const double part = total == 0 ? 0 : static_cast<double>(done) / static_cast<double>(total);
  return absl::StrFormat("%s  %d of %d", Bar(std::clamp(part, 0.0, 1.0)), done, total);
}

std::string ProgressLine(double part, uint64_t documents, absl::Duration elapsed) {
  part = std::clamp(part, 0.0, 1.0);
  const double seconds = std::max(0.001, absl::ToDoubleSeconds(elapsed));
  const double left = part > 0 ? seconds * (1 - part) / part : 0;
  return absl::StrFormat("%s  %d documents  %.0f/s  %.0f s left", Bar(part), documents,
                         static_cast<double>(documents) / seconds, left);
}

Progress::Progress(uint64_t total_bytes)
    : total_(total_bytes), on_terminal_(isatty(STDERR_FILENO) != 0) {}

void Progress::Show(uint64_t bytes, uint64_t documents) {
  if (!on_terminal_ || total_ == 0) return;
  const double part = static_cast<double>(bytes) / static_cast<double>(total_);
  std::fprintf(stderr, "\r\033[K%s", ProgressLine(part, documents, elapsed()).c_str());
  shown_ = true;
}

void Progress::Clear() {
  if (shown_) std::fprintf(stderr, "\r\033[K");
  shown_ = false;
}

}  // namespace cmkstore::cli
