#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "base/ids.h"
#include "store/engine.h"

// Every key of the store, and nobody else concatenates keys (docs/storage_format.md).
//
//   partition prefix 16 B (hub uid; zeros for the catalog) ‖ table tag u8 ‖ the table's parts
//
// Integers are big endian, so that byte order is number order. Keys below are without the prefix,
// as Engine takes them. Readable ids end with 00, which no id contains, so that none is the prefix
// of another.

namespace cmkstore::store {

// On disk; do not renumber.
enum class Table : uint8_t {
  kPartitionState = 0x01,     // u64 last sequence; written by the engine with every commit
  kFeed = 0x02,               // ‖ sequence u64                 FeedRecord; written by the engine
  kDocuments = 0x10,          // ‖ project uid ‖ collection 16 ‖ document 16    envelope
  kProjects = 0x11,           // ‖ project id 00                ProjectRecord
  kDeks = 0x12,               // ‖ generation u32               DekRecord
  kHubSecrets = 0x13,         //                                envelope
  kResponses = 0x14,          // ‖ request 16                   envelope
  kOperations = 0x15,         // ‖ operation id 00              OperationRecord
  kAudit = 0x16,              // ‖ number u64                   AuditRecord
  kHubsByName = 0x40,         // ‖ tenant 00 ‖ hub 00           HubRecord (catalog only)
  kStore = 0x41,              //                                StoreRecord (catalog only)
  kPendingOperations = 0x42,  // ‖ hub uid ‖ operation id 00  PendingOperation (catalog only)
};

// Where a document stands within its hub.
struct DocumentKey {
  ProjectUid project;
  BlindName collection;
  BlindName document;

  friend bool operator==(const DocumentKey&, const DocumentKey&) = default;
};

Partition CatalogPartition();
Partition HubPartition(uint32_t shard, HubUid hub);

std::string PartitionStateKey();
std::string FeedKey(Sequence sequence);
std::optional<Sequence> ParseFeedKey(absl::string_view key);

std::string DocumentRowKey(const DocumentKey& key);
std::optional<DocumentKey> ParseDocumentRowKey(absl::string_view key);
// All documents of a project, or of one of its collections.
KeyRange DocumentRange(ProjectUid project, std::optional<BlindName> collection);

std::string ProjectKey(absl::string_view project);
std::string DekKey(uint32_t generation);
std::string HubSecretsKey();
std::string ResponseKey(BlindName request);
std::string OperationKey(absl::string_view operation);
std::string PendingOperationKey(HubUid hub, absl::string_view operation);
std::string AuditKey(uint64_t number);
std::string HubKey(absl::string_view tenant, absl::string_view hub);
KeyRange HubsOfTenant(absl::string_view tenant);
std::string StoreKey();

// All rows of one table.
KeyRange TableRange(Table table);
// The range from just after `key` on.
std::string After(absl::string_view key);

// First key behind all keys that begin with `prefix`; empty when there is none.
std::string EndOfPrefix(std::string prefix);

void AppendU64(uint64_t value, std::string& out);
uint64_t ReadU64(absl::string_view bytes);

}  // namespace cmkstore::store
