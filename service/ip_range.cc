#include "service/ip_range.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cstring>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "base/errors.h"

namespace cmkstore::service {
namespace {

constexpr int kMappedBits = 96;  // ::ffff:0:0/96

struct Parsed {
  IpAddress address{};
  bool is_v4 = false;
};

std::optional<Parsed> ParseAddress(const std::string& text) {
  Parsed parsed;
  if (in_addr v4; inet_pton(AF_INET, text.c_str(), &v4) == 1) {
    parsed.is_v4 = true;
    parsed.address[10] = parsed.address[11] = 0xff;
    std::memcpy(parsed.address.data() + 12, &v4, 4);
    return parsed;
  }
  if (inet_pton(AF_INET6, text.c_str(), parsed.address.data()) == 1) return parsed;
  return std::nullopt;
}

}  // namespace

std::optional<IpAddress> AddressOfPeer(absl::string_view peer) {
  const bool v6 = absl::ConsumePrefix(&peer, "ipv6:");
  if (!v6 && !absl::ConsumePrefix(&peer, "ipv4:")) return std::nullopt;
  const size_t port = peer.rfind(':');
  if (port == absl::string_view::npos) return std::nullopt;
  const std::string text = absl::StrReplaceAll(
      peer.substr(0, port),
      {{"%5B", ""}, {"%5D", ""}, {"%5b", ""}, {"%5d", ""}, {"[", ""}, {"]", ""}});
  const std::optional<Parsed> parsed = ParseAddress(text.substr(0, text.find('%')));
  if (!parsed.has_value()) return std::nullopt;
  return parsed->address;
}

absl::StatusOr<IpRange> IpRange::Parse(absl::string_view field, absl::string_view text) {
  const auto wrong = [&] {
    return FieldInvalid(field, "must be a CIDR range such as 10.0.0.0/8 or 2001:db8::/32");
  };
  const size_t slash = text.find('/');
  const std::optional<Parsed> parsed = ParseAddress(std::string(text.substr(0, slash)));
  if (!parsed.has_value()) return wrong();
  const int most = parsed->is_v4 ? 32 : 128;
  int bits = most;
  if (slash != absl::string_view::npos &&
      (!absl::SimpleAtoi(text.substr(slash + 1), &bits) || bits < 0 || bits > most)) {
    return wrong();
  }
  const IpRange range(parsed->address, parsed->is_v4 ? kMappedBits + bits : bits);
  for (int bit = range.bits_; bit < 128; ++bit) {
    if ((range.base_[static_cast<size_t>(bit / 8)] >> (7 - bit % 8) & 1) != 0) {
      return FieldInvalid(field, "has bits set beyond its prefix");
    }
  }
  return range;
}

bool IpRange::Contains(const IpAddress& address) const {
  const auto whole = static_cast<size_t>(bits_ / 8);
  if (!std::equal(base_.begin(), base_.begin() + static_cast<std::ptrdiff_t>(whole),
                  address.begin())) {
    return false;
  }
  const int rest = bits_ % 8;
  if (rest == 0) return true;
  const auto mask = static_cast<uint8_t>(0xff << (8 - rest));
  return (base_[whole] & mask) == (address[whole] & mask);
}

}  // namespace cmkstore::service
