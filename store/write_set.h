#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "crypto/sealed_document.h"

namespace cmkstore::store {

// What must hold of one row, or of all rows under one prefix, at the moment of the commit, and the
// error to answer when it does not.
struct Precondition {
  enum class Kind { kAbsent, kPresent, kBeginsWith, kEquals, kNoneWithPrefix };
  Kind kind = Kind::kAbsent;
  std::string key;    // kNoneWithPrefix: what no key may begin with
  std::string bytes;  // kBeginsWith, kEquals: what the stored value must begin with, or be
  absl::Status error;

  // `stored`: the row's value, if it is there; for kNoneWithPrefix that of any row under it.
  bool HoldsFor(std::optional<absl::string_view> stored) const;
};

// A set of preconditions and writes that commit together or not at all, on one partition.
//
// Content enters only as SealedDocument: plaintext cannot be given. PutRecord is for the typed
// tables' own records, which hold no customer content. Outside of store/ the typed tables fill it.
//
// Not thread-safe; moved into Engine::Apply.
class WriteSet {
 public:
  struct Write {
    enum class Kind { kPut, kDelete, kAdd };
    Kind kind = Kind::kPut;
    std::string key;
    std::string value;
  };

  void RequireAbsent(std::string key, absl::Status error);
  void RequirePresent(std::string key, absl::Status error);
  void RequireBeginsWith(std::string key, absl::string_view bytes, absl::Status error);
  void RequireEquals(std::string key, std::string bytes, absl::Status error);
  // The engine looks through the prefix while commits wait: for what the caller found empty just
  // before.
  void RequireNoneWithPrefix(std::string prefix, absl::Status error);

  void Put(std::string key, crypto::SealedDocument value);
  void PutRecord(std::string key, std::string record);
  void Delete(std::string key);
  // Adds to a row of counters (store/counter_row.h): no write is lost and none has to be repeated,
  // whoever else adds. Such a row is never put and is no precondition. A write set that does
  // nothing but add takes no sequence: Apply answers the last one.
  void Add(std::string key, std::string delta);
  // The row that the engine writes into the change feed under this commit's sequence. One per write
  // set; a set without one still takes a sequence.
  void SetFeedRecord(std::string record);

  const std::vector<Precondition>& preconditions() const { return preconditions_; }
  const std::vector<Write>& writes() const { return writes_; }
  const std::string& feed_record() const { return feed_record_; }
  bool empty() const { return writes_.empty(); }
  bool only_adds() const;
  // Bytes of keys and values, for the engine's queue bound.
  size_t size_bytes() const { return size_bytes_; }

 private:
  std::vector<Precondition> preconditions_;
  std::vector<Write> writes_;
  std::string feed_record_;
  size_t size_bytes_ = 0;
};

}  // namespace cmkstore::store
