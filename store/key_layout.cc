#include "store/key_layout.h"

#include <utility>

namespace cmkstore::store {

void AppendU64(uint64_t value, std::string& out) {
  for (int shift = 56; shift >= 0; shift -= 8) out.push_back(static_cast<char>(value >> shift));
}

uint64_t ReadU64(absl::string_view bytes) {
  uint64_t value = 0;
  for (size_t i = 0; i < 8 && i < bytes.size(); ++i) {
    value = value << 8 | static_cast<uint8_t>(bytes[i]);
  }
  return value;
}

void AppendPart(absl::string_view id, std::string& key) {
  key.append(id.data(), id.size());
  key.push_back('\0');
}

void AppendPart(uint32_t number, std::string& key) {
  for (int shift = 24; shift >= 0; shift -= 8) key.push_back(static_cast<char>(number >> shift));
}

void AppendPart(uint64_t number, std::string& key) { AppendU64(number, key); }

std::string PartitionStateKey() { return MakeKey(Table::kPartitionState); }

std::string FeedKey(Sequence sequence) { return MakeKey(Table::kFeed, sequence); }

std::optional<Sequence> ParseFeedKey(absl::string_view key) {
  if (key.size() != 9 || key[0] != static_cast<char>(Table::kFeed)) return std::nullopt;
  return ReadU64(key.substr(1));
}

KeyRange PrefixRange(std::string prefix) {
  std::string end = EndOfPrefix(prefix);
  return {std::move(prefix), std::move(end)};
}

KeyRange TableRange(Table table) { return PrefixRange(MakeKey(table)); }

std::string After(absl::string_view key) {
  std::string after(key);
  after.push_back('\0');
  return after;
}

std::string EndOfPrefix(std::string prefix) {
  while (!prefix.empty() && static_cast<uint8_t>(prefix.back()) == 0xff) prefix.pop_back();
  if (!prefix.empty()) prefix.back() = static_cast<char>(static_cast<uint8_t>(prefix.back()) + 1);
  return prefix;
}

}  // namespace cmkstore::store
