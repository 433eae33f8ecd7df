#include "store/write_set.h"

#include <algorithm>

#include "absl/strings/match.h"

namespace cmkstore::store {

bool Precondition::HoldsFor(std::optional<absl::string_view> stored) const {
  switch (kind) {
    case Kind::kAbsent:
    case Kind::kNoneWithPrefix: return !stored.has_value();
    case Kind::kPresent: return stored.has_value();
    case Kind::kBeginsWith: return stored.has_value() && absl::StartsWith(*stored, bytes);
    case Kind::kEquals: return stored.has_value() && *stored == bytes;
  }
  return false;
}

void WriteSet::RequireAbsent(std::string key, absl::Status error) {
  preconditions_.push_back({Precondition::Kind::kAbsent, std::move(key), "", std::move(error)});
}

void WriteSet::RequirePresent(std::string key, absl::Status error) {
  preconditions_.push_back({Precondition::Kind::kPresent, std::move(key), "", std::move(error)});
}

void WriteSet::RequireBeginsWith(std::string key, absl::string_view bytes, absl::Status error) {
  preconditions_.push_back(
      {Precondition::Kind::kBeginsWith, std::move(key), std::string(bytes), std::move(error)});
}

void WriteSet::RequireEquals(std::string key, std::string bytes, absl::Status error) {
  preconditions_.push_back(
      {Precondition::Kind::kEquals, std::move(key), std::move(bytes), std::move(error)});
}

void WriteSet::RequireNoneWithPrefix(std::string prefix, absl::Status error) {
  preconditions_.push_back(
      {Precondition::Kind::kNoneWithPrefix, std::move(prefix), "", std::move(error)});
}

void WriteSet::Put(std::string key, crypto::SealedDocument value) {
  PutRecord(std::move(key), std::move(value).Release());
}

void WriteSet::PutRecord(std::string key, std::string record) {
  size_bytes_ += key.size() + record.size();
  writes_.push_back({Write::Kind::kPut, std::move(key), std::move(record)});
}

void WriteSet::Delete(std::string key) {
  size_bytes_ += key.size();
  writes_.push_back({Write::Kind::kDelete, std::move(key), ""});
}

void WriteSet::Add(std::string key, std::string delta) {
  size_bytes_ += key.size() + delta.size();
  writes_.push_back({Write::Kind::kAdd, std::move(key), std::move(delta)});
}

bool WriteSet::only_adds() const {
  return !writes_.empty() && feed_record_.empty() &&
         std::all_of(writes_.begin(), writes_.end(),
                     [](const Write& one) { return one.kind == Write::Kind::kAdd; });
}

void WriteSet::SetFeedRecord(std::string record) {
  size_bytes_ += record.size();
  feed_record_ = std::move(record);
}

}  // namespace cmkstore::store
