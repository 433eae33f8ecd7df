#include "vault/base_url.h"

#include <algorithm>
#include <cstdint>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace cmkstore::vault {
namespace {

bool IsLabel(absl::string_view label) {
  return !label.empty() && std::all_of(label.begin(), label.end(), [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '-';
  });
}

bool IsIpv6(absl::string_view host) {
  return absl::ConsumePrefix(&host, "[") && absl::ConsumeSuffix(&host, "]") && !host.empty() &&
         std::all_of(host.begin(), host.end(), [](char c) {
           return absl::ascii_isxdigit(static_cast<unsigned char>(c)) || c == ':' || c == '.';
         });
}

bool IsPort(absl::string_view port) {
  uint32_t number = 0;
  return std::all_of(port.begin(), port.end(), absl::ascii_isdigit) &&
         absl::SimpleAtoi(port, &number) && number > 0 && number <= 65535;
}

}  // namespace

bool IsHostName(absl::string_view name) {
  const std::vector<absl::string_view> labels = absl::StrSplit(name, '.');
  return std::all_of(labels.begin(), labels.end(), IsLabel);
}

bool IsBaseUrl(absl::string_view url, absl::string_view scheme) {
  if (!absl::ConsumePrefix(&url, scheme)) return false;
  absl::ConsumeSuffix(&url, "/");
  const size_t bracket = url.rfind(']');
  const size_t colon = url.find(':', bracket == absl::string_view::npos ? 0 : bracket);
  if (colon != absl::string_view::npos && !IsPort(url.substr(colon + 1))) return false;
  const absl::string_view host = url.substr(0, colon);
  return IsHostName(host) || IsIpv6(host);
}

}  // namespace cmkstore::vault
