#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "base/ids.h"
#include "store/engine.h"

// Every key of the store is made here, from parts that the typed tables name; nobody outside of
// store/ sees one (docs/storage_format.md).
//
//   partition prefix 16 B (hub uid; zeros for the catalog) ‖ table tag u8 ‖ the table's parts
//
// A part is a readable id followed by 00, which no id contains, so that none is the prefix of
// another; 16 bytes of a uid or blind name; or an integer, big endian, so that byte order is number
// order. Keys below are without the prefix, as Engine takes them.

namespace cmkstore::store {

// On disk; do not renumber.
enum class Table : uint8_t {
  kPartitionState = 0x01,     // u64 last sequence; written by the engine with every commit
  kFeed = 0x02,               // ‖ sequence u64                 FeedRecord; written by the engine
  kSkipped = 0x03,            //                                SkippedSequences; absent: none
  kDocuments = 0x10,          // ‖ project uid ‖ collection 16 ‖ document 16    envelope
  kProjects = 0x11,           // ‖ project id 00                ProjectRecord
  kDeks = 0x12,               // ‖ generation u32               DekRecord
  kHubSecrets = 0x13,         //                                envelope
  kResponses = 0x14,          // ‖ request 16                   envelope
  kOperations = 0x15,         // ‖ operation id 00              OperationRecord
  kAudit = 0x16,              // ‖ number u64                   AuditRecord
  kResponsesByTime = 0x17,    // ‖ expire micros u64 ‖ request 16   KeptResponse
  kUsage = 0x18,              // ‖ hour u64                     counters
  kKeyChange = 0x19,          //                                CustomerKey; absent: none
  kHubsByName = 0x40,         // ‖ tenant 00 ‖ hub 00           HubRecord (catalog only)
  kStore = 0x41,              //                                StoreRecord (catalog only)
  kPendingOperations = 0x42,  // ‖ hub uid ‖ operation id 00    PendingOperation (catalog only)
  kRestore = 0x43,            //                                RestoreRecord (catalog only)
  kLocks = 0x44,              // ‖ hub uid                      LockRecord (catalog only)
  kPurgedUsage = 0x48,        // ‖ hub uid ‖ hour u64           counters (catalog only)
};

void AppendU64(uint64_t value, std::string& out);
uint64_t ReadU64(absl::string_view bytes);

void AppendPart(absl::string_view id, std::string& key);
void AppendPart(uint32_t number, std::string& key);
void AppendPart(uint64_t number, std::string& key);
template <typename Tag>
void AppendPart(const Uid<Tag>& uid, std::string& key) {
  key.append(uid.bytes().data(), uid.bytes().size());
}

// The key of these parts; of the first few: what all keys that begin with them have in common.
template <typename... Parts>
std::string MakeKey(Table table, const Parts&... parts) {
  std::string key(1, static_cast<char>(table));
  (AppendPart(parts, key), ...);
  return key;
}

std::string PartitionStateKey();
std::string FeedKey(Sequence sequence);
std::optional<Sequence> ParseFeedKey(absl::string_view key);

// All keys that begin with `prefix`.
KeyRange PrefixRange(std::string prefix);
// All rows of one table.
KeyRange TableRange(Table table);
// The first key behind `key`.
std::string After(absl::string_view key);
// First key behind all keys that begin with `prefix`; empty when there is none.
std::string EndOfPrefix(std::string prefix);

}  // namespace cmkstore::store
