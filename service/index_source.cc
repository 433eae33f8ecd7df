#include "service/index_source.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "crypto/sealed_document.h"
#include "service/document_codec.h"
#include "store/change_feed.h"
#include "store/documents_table.h"

namespace cmkstore::service {
namespace {

constexpr absl::Duration kKeyTimeout = absl::Seconds(5);
constexpr size_t kMaxBatchRowBytes = 8u << 20;

std::string IndexKeyOf(const store::DocumentKey& key) {
  return absl::StrCat(key.project.bytes(), key.collection.bytes(), key.document.bytes());
}

}  // namespace

absl::StatusOr<OpenHub> IndexSource::Open(HubUid hub) {
  CMK_ASSIGN_OR_RETURN(HubEntryPtr entry, hubs_.directory().FindByUid(hub));
  return hubs_.OpenEntryBlocking(std::move(entry), clock_.WallNow() + kKeyTimeout);
}

absl::StatusOr<std::shared_ptr<const crypto::SecretBytes>> IndexSource::IndexKey(HubUid hub) {
  CMK_ASSIGN_OR_RETURN(const OpenHub opened, Open(hub));
  return opened.keys->index_key;
}

absl::StatusOr<uint64_t> IndexSource::LastSequence(HubUid hub) {
  CMK_ASSIGN_OR_RETURN(const HubEntryPtr entry, hubs_.directory().FindByUid(hub));
  return engine_.LastSequence(entry->partition);
}

absl::StatusOr<search::IndexChange> IndexSource::StateOf(const OpenHub& hub,
                                                         const store::DocumentKey& key) {
  absl::StatusOr<std::optional<search::IndexedDocument>> found = ReadDocument(hub, key);
  if (found.ok()) return search::IndexChange{IndexKeyOf(key), *std::move(found)};
  if (!unreadable_.GoesOnWithout(*hub.entry, found.status())) return found.status();
  return search::IndexChange{IndexKeyOf(key), std::nullopt, /*unreadable=*/true};
}

absl::StatusOr<std::optional<search::IndexedDocument>> IndexSource::ReadDocument(
    const OpenHub& hub, const store::DocumentKey& key) {
  CMK_ASSIGN_OR_RETURN(const std::optional<crypto::SealedDocument> sealed,
                       store::DocumentsTable(engine_).Get(hub.partition(), key));
  if (!sealed.has_value()) return std::nullopt;
  CMK_ASSIGN_OR_RETURN(const std::optional<std::string> project,
                       hubs_.directory().ProjectNameOf(*hub.entry, key.project));
  if (!project.has_value()) return std::nullopt;
  CMK_ASSIGN_OR_RETURN(
      const std::string plaintext,
      hubs_.OpenRowBlocking(*hub.keys, clock_.WallNow() + kKeyTimeout,
                            BindingOf(*hub.entry, crypto::RowKind::kDocument, key), *sealed));
  CMK_ASSIGN_OR_RETURN(storage::v1::DocumentBody body, ParseBody(plaintext));
  search::IndexedDocument document;
  document.project = *project;
  document.collection = std::move(*body.mutable_collection());
  document.document = std::move(*body.mutable_document());
  document.labels = {body.labels().begin(), body.labels().end()};
  document.content_type = std::move(*body.mutable_content_type());
  document.content = std::move(*body.mutable_content());
  document.create_time = absl::FromUnixMicros(body.create_time_micros());
  document.update_time = absl::FromUnixMicros(body.update_time_micros());
  return document;
}

absl::StatusOr<std::optional<search::IndexChange>> IndexSource::ToChange(
    const OpenHub& hub, const storage::v1::FeedChange& change) {
  store::DocumentKey key;
  CMK_ASSIGN_OR_RETURN(key.project, ProjectUid::FromBytes(change.project_uid()));
  if (change.kind() == storage::v1::FeedChange::KIND_PROJECT_DELETED) {
    return search::IndexChange{std::string(key.project.bytes()), std::nullopt};
  }
  if (change.kind() == storage::v1::FeedChange::KIND_PROJECT_CHANGED) return std::nullopt;
  CMK_ASSIGN_OR_RETURN(key.collection, BlindName::FromBytes(change.blind_collection()));
  CMK_ASSIGN_OR_RETURN(key.document, BlindName::FromBytes(change.blind_document()));
  // The state of now, also for a deletion: what comes later in the feed says the same again.
  return StateOf(hub, key);
}

absl::StatusOr<search::ChangeBatch> IndexSource::Read(HubUid uid, search::FeedPlace after,
                                                      size_t limit) {
  CMK_ASSIGN_OR_RETURN(const OpenHub hub, Open(uid));
  // Asked before the scan: what has no row in the feed up to here changed no document.
  CMK_ASSIGN_OR_RETURN(const store::Sequence last, engine_.LastSequence(hub.partition()));
  CMK_ASSIGN_OR_RETURN(
      const std::vector<store::FeedEntry> entries,
      store::ChangeFeed(engine_).ReadAfter(hub.partition(), after.sequence, limit));
  search::ChangeBatch batch;
  batch.hub_sequence = last;
  CMK_ASSIGN_OR_RETURN(batch.skipped,
                       store::ChangeFeed(engine_).SkippedAfter(hub.partition(), after.sequence));
  batch.reached = entries.empty() ? search::FeedPlace{last, 0} : after;
  bool whole = entries.size() < limit;
  size_t bytes = 0;
  for (const auto& [at, record] : entries) {
    if (batch.changes.size() >= limit) {
      whole = false;
      break;
    }
    for (int i = batch.reached.told; i < record.changes_size(); ++i) {
      if (bytes >= kMaxBatchRowBytes) {  // the rest of this commit comes in the next batch
        batch.reached.told = i;
        return batch;
      }
      CMK_ASSIGN_OR_RETURN(std::optional<search::IndexChange> change,
                           ToChange(hub, record.changes(i)));
      if (!change.has_value()) continue;
      if (change->document.has_value()) bytes += change->document->content.size();
      batch.changes.push_back(*std::move(change));
    }
    batch.reached = {at, 0};
  }
  if (whole) batch.reached.sequence = std::max(batch.reached.sequence, last);
  return batch;
}

absl::StatusOr<search::SnapshotPage> IndexSource::Snapshot(HubUid uid, const std::string& cursor,
                                                           size_t limit) {
  CMK_ASSIGN_OR_RETURN(const OpenHub hub, Open(uid));
  CMK_ASSIGN_OR_RETURN(const std::vector<store::DocumentKey> keys,
                       store::DocumentsTable(engine_).WalkKeys(hub.partition(), {}, cursor,
                                                               {limit, kMaxBatchRowBytes}));
  search::SnapshotPage page;
  if (!keys.empty()) page.next_cursor = store::DocumentsTable::CursorAt(keys.back());
  for (const store::DocumentKey& key : keys) {
    CMK_ASSIGN_OR_RETURN(search::IndexChange found, StateOf(hub, key));
    if (found.document.has_value() || found.unreadable) page.documents.push_back(std::move(found));
  }
  return page;
}

}  // namespace cmkstore::service
