#include "base/ids.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/errors.h"

namespace cmkstore {

bool IsValidId(absl::string_view text) {
  if (text.empty() || text.size() > kMaxIdBytes) return false;
  if (!absl::ascii_isalnum(static_cast<unsigned char>(text.front()))) return false;
  return std::all_of(text.begin(), text.end(), [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '.' || c == '_' || c == '~' ||
           c == '-';
  });
}

bool IsGuid(absl::string_view text) {
  if (text.size() != 36) return false;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
    if (dash ? text[i] != '-' : !absl::ascii_isxdigit(static_cast<unsigned char>(text[i]))) {
      return false;
    }
  }
  return true;
}

absl::Status CheckId(absl::string_view field, absl::string_view text) {
  if (IsValidId(text)) return absl::OkStatus();
  return FieldInvalid(field, absl::StrCat("must be 1 to ", kMaxIdBytes,
                                          " characters of A-Z a-z 0-9 . _ ~ - and begin with a "
                                          "letter or digit"));
}

template <typename Tag>
absl::StatusOr<Uid<Tag>> Uid<Tag>::FromBytes(absl::string_view raw) {
  if (raw.size() != kBytes) {
    return InvariantBroken(absl::StrCat("a uid has 16 bytes, not ", raw.size()));
  }
  std::array<uint8_t, kBytes> bytes;
  std::copy(raw.begin(), raw.end(), bytes.begin());
  return Uid(bytes);
}

template <typename Tag>
std::string Uid<Tag>::ToHex() const {
  return absl::BytesToHexString(bytes());
}

template class Uid<HubUidTag>;
template class Uid<ProjectUidTag>;
template class Uid<DekIdTag>;
template class Uid<BlindNameTag>;

}  // namespace cmkstore
