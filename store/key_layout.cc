#include "store/key_layout.h"

#include "absl/strings/str_cat.h"

namespace cmkstore::store {
namespace {

std::string Key(Table table) { return std::string(1, static_cast<char>(table)); }

void Append(absl::string_view part, std::string& key) { key.append(part.data(), part.size()); }

std::string NamedKey(Table table, absl::string_view id) {
  std::string key = Key(table);
  Append(id, key);
  key.push_back('\0');
  return key;
}

KeyRange PrefixRange(std::string prefix) { return {prefix, EndOfPrefix(prefix)}; }

constexpr size_t kDocumentKeyBytes = 1 + 3 * ProjectUid::kBytes;

}  // namespace

std::string EndOfPrefix(std::string prefix) {
  while (!prefix.empty() && static_cast<uint8_t>(prefix.back()) == 0xff) prefix.pop_back();
  if (!prefix.empty()) prefix.back() = static_cast<char>(static_cast<uint8_t>(prefix.back()) + 1);
  return prefix;
}

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

Partition CatalogPartition() { return {0, std::string(HubUid().bytes())}; }

Partition HubPartition(uint32_t shard, HubUid hub) { return {shard, std::string(hub.bytes())}; }

std::string PartitionStateKey() { return Key(Table::kPartitionState); }

std::string FeedKey(Sequence sequence) {
  std::string key = Key(Table::kFeed);
  AppendU64(sequence, key);
  return key;
}

std::optional<Sequence> ParseFeedKey(absl::string_view key) {
  if (key.size() != 9 || key[0] != static_cast<char>(Table::kFeed)) return std::nullopt;
  return ReadU64(key.substr(1));
}

std::string DocumentRowKey(const DocumentKey& key) {
  std::string row = Key(Table::kDocuments);
  row.reserve(kDocumentKeyBytes);
  Append(key.project.bytes(), row);
  Append(key.collection.bytes(), row);
  Append(key.document.bytes(), row);
  return row;
}

std::optional<DocumentKey> ParseDocumentRowKey(absl::string_view key) {
  if (key.size() != kDocumentKeyBytes || key[0] != static_cast<char>(Table::kDocuments)) {
    return std::nullopt;
  }
  return DocumentKey{*ProjectUid::FromBytes(key.substr(1, 16)),
                     *BlindName::FromBytes(key.substr(17, 16)),
                     *BlindName::FromBytes(key.substr(33, 16))};
}

KeyRange DocumentRange(ProjectUid project, std::optional<BlindName> collection) {
  std::string prefix = Key(Table::kDocuments);
  Append(project.bytes(), prefix);
  if (collection.has_value()) Append(collection->bytes(), prefix);
  return PrefixRange(std::move(prefix));
}

std::string ProjectKey(absl::string_view project) { return NamedKey(Table::kProjects, project); }

std::string DekKey(uint32_t generation) {
  std::string key = Key(Table::kDeks);
  for (int shift = 24; shift >= 0; shift -= 8) {
    key.push_back(static_cast<char>(generation >> shift));
  }
  return key;
}

std::string HubSecretsKey() { return Key(Table::kHubSecrets); }

std::string ResponseKey(BlindName request) {
  std::string key = Key(Table::kResponses);
  Append(request.bytes(), key);
  return key;
}

std::string OperationKey(absl::string_view operation) {
  return NamedKey(Table::kOperations, operation);
}

std::string PendingOperationKey(HubUid hub, absl::string_view operation) {
  std::string key = Key(Table::kPendingOperations);
  absl::StrAppend(&key, hub.bytes(), operation);
  key.push_back('\0');
  return key;
}

std::string AuditKey(uint64_t number) {
  std::string key = Key(Table::kAudit);
  AppendU64(number, key);
  return key;
}

std::string HubKey(absl::string_view tenant, absl::string_view hub) {
  std::string key = NamedKey(Table::kHubsByName, tenant);
  Append(hub, key);
  key.push_back('\0');
  return key;
}

KeyRange HubsOfTenant(absl::string_view tenant) {
  return PrefixRange(NamedKey(Table::kHubsByName, tenant));
}

std::string StoreKey() { return Key(Table::kStore); }

KeyRange TableRange(Table table) { return PrefixRange(Key(table)); }

std::string After(absl::string_view key) {
  std::string after(key);
  after.push_back('\0');
  return after;
}

}  // namespace cmkstore::store
