#include "cli/printable.h"

#include <wchar.h>

#include <cstdint>

#include "absl/strings/str_format.h"

namespace cmkstore::cli {
namespace {

struct Character {
  uint32_t code = 0;
  size_t bytes = 1;
  bool valid = false;
};

// The first character of `text`, which must not be empty; one invalid byte if it is no
// shortest-form UTF-8.
Character First(absl::string_view text) {
  const auto byte = [&text](size_t i) { return static_cast<uint8_t>(text[i]); };
  const uint8_t lead = byte(0);
  if (lead < 0x80) return {lead, 1, true};
  const size_t bytes = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || text.size() < bytes) return {};
  uint32_t code = lead & (0xFFu >> (bytes + 1));
  for (size_t i = 1; i < bytes; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return {};
    code = code << 6 | (byte(i) & 0x3Fu);
  }
  constexpr uint32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
  if (code < kLeast[bytes] || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) return {};
  return {code, bytes, true};
}

bool DrivesTerminals(uint32_t code) {
  return code < 0x20 || (code >= 0x7F && code < 0xA0) || code == 0x061C || code == 0x200E ||
         code == 0x200F || (code >= 0x2028 && code <= 0x202E) ||
         (code >= 0x2066 && code <= 0x2069) || code == 0xFEFF;
}

std::string Clean(absl::string_view text, absl::string_view kept) {
  std::string clean;
  while (!text.empty()) {
    const Character next = First(text);
    if (!next.valid) {
      clean += absl::StrFormat("\\x%02x", static_cast<uint8_t>(text[0]));
    } else if (!DrivesTerminals(next.code) || kept.find(text[0]) != absl::string_view::npos) {
      clean.append(text.data(), next.bytes);
    } else if (next.code < 0x100) {
      clean += absl::StrFormat("\\x%02x", next.code);
    } else {
      clean += absl::StrFormat("\\u{%x}", next.code);
    }
    text.remove_prefix(next.bytes);
  }
  return clean;
}

}  // namespace

std::string Printable(absl::string_view text) { return Clean(text, ""); }

std::string PrintableLines(absl::string_view text) { return Clean(text, "\n\t"); }

size_t ColumnsOf(absl::string_view printable) {
  size_t columns = 0;
  while (!printable.empty()) {
    const Character next = First(printable);
    const int width = wcwidth(static_cast<wchar_t>(next.code));
    columns += width < 0 ? 1 : static_cast<size_t>(width);
    printable.remove_prefix(next.bytes);
  }
  return columns;
}

}  // namespace cmkstore::cli
