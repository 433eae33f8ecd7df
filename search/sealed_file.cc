// A sealed unit: nonce (24) ‖ ciphertext ‖ tag (16), XAES-256-GCM under the hub's index key.
// Associated data: "cmkstore/index/v1" ‖ hub uid (16) ‖ role (1) ‖ unit number (u64, big endian).
// Units, in logical bytes: main and journal 4,096 each; log 32 (its header), then 24 + 4,096 each
// (frames).

#include "search/sealed_file.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <iterator>

#include "absl/strings/string_view.h"

namespace cmkstore::search {
namespace {

constexpr int64_t kLogHeaderBytes = 32;
constexpr int64_t kFrameHeaderBytes = 24;
constexpr int64_t kOverhead = kSealedPageBytes - kPageBytes;
constexpr absl::string_view kLabel = "cmkstore/index/v1";

int Noted(SealContext& context, int result) {
  if (result != SQLITE_OK && result != SQLITE_IOERR_SHORT_READ) context.refusal = errno;
  return result;
}

}  // namespace

SealedFile::SealedFile(FileRole role, sqlite3_file* real, SealContext& context)
    : role_(role),
      first_size_(role == FileRole::kLog ? kLogHeaderBytes : kPageBytes),
      unit_size_(role == FileRole::kLog ? kFrameHeaderBytes + kPageBytes : kPageBytes),
      real_(real),
      context_(context),
      sealed_(static_cast<size_t>(unit_size_ + kOverhead)),
      plain_(static_cast<size_t>(unit_size_)) {}

SealedFile::Unit SealedFile::UnitAt(int64_t offset) const {
  if (offset < first_size_) return {0, 0, first_size_, 0};
  const int64_t index = (offset - first_size_) / unit_size_;
  return {index + 1, first_size_ + index * unit_size_, unit_size_,
          first_size_ + kOverhead + index * (unit_size_ + kOverhead)};
}

std::vector<uint8_t> SealedFile::AssociatedData(int64_t number) const {
  const absl::string_view hub = context_.hub.bytes();
  std::vector<uint8_t> data;
  data.reserve(kLabel.size() + hub.size() + sizeof(uint8_t) + sizeof(number));
  data.assign(kLabel.begin(), kLabel.end());
  std::copy(hub.begin(), hub.end(), std::back_inserter(data));
  data.push_back(static_cast<uint8_t>(role_));
  for (int shift = 56; shift >= 0; shift -= 8) {
    data.push_back(static_cast<uint8_t>(number >> shift));
  }
  return data;
}

int SealedFile::Load(const Unit& unit, uint8_t* out, Found* found) {
  const auto size = static_cast<size_t>(unit.size);
  const auto sealed_size = static_cast<int>(unit.size + kOverhead);
  const int result =
      Noted(context_, real_->pMethods->xRead(real_, sealed_.data(), sealed_size, unit.physical));
  if (result != SQLITE_OK && result != SQLITE_IOERR_SHORT_READ) return result;
  *found = Found::kNothing;
  if (result == SQLITE_OK) {
    crypto::XaesNonce nonce;
    std::copy_n(sealed_.begin(), nonce.size(), nonce.begin());
    const std::span<const uint8_t> body(sealed_.data() + nonce.size(),
                                        size + crypto::kXaesTagBytes);
    const bool opens =
        context_.key->Open(nonce, body, AssociatedData(unit.number), {out, size}).ok();
    *found = opens ? Found::kUnit : Found::kDamage;
  }
  if (*found != Found::kUnit) std::memset(out, 0, size);
  return SQLITE_OK;
}

int SealedFile::Lost() {
  context_.damaged = true;
  return SQLITE_IOERR_CORRUPTFS;
}

int SealedFile::Store(const Unit& unit, const uint8_t* plaintext) {
  crypto::XaesNonce nonce;
  context_.random->Fill(nonce);
  std::copy(nonce.begin(), nonce.end(), sealed_.begin());
  const auto size = static_cast<size_t>(unit.size);
  context_.key->Seal(nonce, {plaintext, size}, AssociatedData(unit.number),
                     {sealed_.data() + nonce.size(), size + crypto::kXaesTagBytes});
  return Noted(context_,
               real_->pMethods->xWrite(real_, sealed_.data(),
                                       static_cast<int>(unit.size + kOverhead), unit.physical));
}

int SealedFile::Flush() {
  if (pending_number_ < 0) return SQLITE_OK;
  const Unit unit =
      UnitAt(pending_number_ == 0 ? 0 : first_size_ + (pending_number_ - 1) * unit_size_);
  pending_number_ = -1;
  return Store(unit, pending_.data());
}

int SealedFile::Read(std::span<uint8_t> out, int64_t offset) {
  if (const int result = Flush(); result != SQLITE_OK) return result;
  while (!out.empty()) {
    const Unit unit = UnitAt(offset);
    const auto skip = static_cast<size_t>(offset - unit.begin);
    const size_t part = std::min(out.size(), static_cast<size_t>(unit.size) - skip);
    const bool whole = part == static_cast<size_t>(unit.size);
    Found found;
    const int result = Load(unit, whole ? out.data() : plain_.data(), &found);
    if (result != SQLITE_OK) return result;
    const bool recovering = role_ == FileRole::kLog && context_.recovering;
    if (recovering) end_ = std::max(end_, unit.number);
    if (found == Found::kDamage && !recovering) return Lost();
    if (found == Found::kNothing) {
      std::fill(out.begin(), out.end(), uint8_t{0});
      return SQLITE_IOERR_SHORT_READ;
    }
    if (!whole) std::memcpy(out.data(), plain_.data() + skip, part);
    out = out.subspan(part);
    offset += static_cast<int64_t>(part);
  }
  return SQLITE_OK;
}

int SealedFile::Write(std::span<const uint8_t> data, int64_t offset) {
  while (!data.empty()) {
    const Unit unit = UnitAt(offset);
    const auto room = static_cast<size_t>(unit.begin + unit.size - offset);
    const std::span<const uint8_t> part = data.first(std::min(data.size(), room));
    if (const int result = WritePart(unit, part, offset - unit.begin); result != SQLITE_OK) {
      return result;
    }
    data = data.subspan(part.size());
    offset += static_cast<int64_t>(part.size());
  }
  return SQLITE_OK;
}

int SealedFile::WritePart(const Unit& unit, std::span<const uint8_t> data, int64_t offset) {
  const bool to_end = offset + static_cast<int64_t>(data.size()) == unit.size;
  if (pending_number_ == unit.number) {
    std::memcpy(pending_.data() + offset, data.data(), data.size());
    return to_end ? Flush() : SQLITE_OK;
  }
  if (const int result = Flush(); result != SQLITE_OK) return result;
  if (offset == 0 && to_end) return Store(unit, data.data());
  pending_.resize(static_cast<size_t>(unit.size));
  Found found;
  if (const int result = Load(unit, pending_.data(), &found); result != SQLITE_OK) return result;
  const bool begun = role_ == FileRole::kLog && offset == 0;
  const bool absent =
      found == Found::kNothing || (found == Found::kDamage && begun && unit.number >= end_);
  if (found == Found::kDamage && !absent) return Lost();
  if (begun) end_ = std::max(end_, unit.number + 1);
  std::memcpy(pending_.data() + offset, data.data(), data.size());
  pending_number_ = unit.number;
  // The header of a new frame waits for its page; whatever else is rewritten in part goes to the
  // file at once.
  return absent && offset == 0 ? SQLITE_OK : Flush();
}

int SealedFile::Truncate(int64_t size) {
  if (const int result = Flush(); result != SQLITE_OK) return result;
  const Unit unit = UnitAt(size);
  const int64_t physical =
      size == unit.begin ? unit.physical : unit.physical + unit.size + kOverhead;
  return Noted(context_, real_->pMethods->xTruncate(real_, physical));
}

int SealedFile::Sync(int flags) {
  if (const int result = Flush(); result != SQLITE_OK) return result;
  return Noted(context_, real_->pMethods->xSync(real_, flags));
}

int SealedFile::Size(int64_t* size) {
  if (const int result = Flush(); result != SQLITE_OK) return result;
  sqlite3_int64 physical = 0;
  const int result = Noted(context_, real_->pMethods->xFileSize(real_, &physical));
  if (result != SQLITE_OK) return result;
  const int64_t after_first = physical - first_size_ - kOverhead;
  *size = after_first < 0 ? 0 : first_size_ + after_first / (unit_size_ + kOverhead) * unit_size_;
  return SQLITE_OK;
}

int SealedFile::Close() {
  const int flushed = Flush();
  const int closed = real_->pMethods->xClose(real_);
  return flushed != SQLITE_OK ? flushed : closed;
}

}  // namespace cmkstore::search
