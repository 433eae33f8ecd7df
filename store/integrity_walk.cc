// The balance of a project is a sum of hashes of (document, revision), modulo 2^64: a put of
// revision r adds (d, r) and, above 1, takes (d, r - 1) away; a deletion numbered r takes (d, r -
// 1) away; a row of revision r takes (d, r) away. It is 0 whatever the order, without remembering a
// document; that a fault keeps it 0 by accident has a chance of 2^-64.

#include "store/integrity_walk.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "absl/hash/hash.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "crypto/sealed_document.h"
#include "store/key_layout.h"

namespace cmkstore::store {
namespace {

using storage::v1::FeedChange;
using storage::v1::HubRecord;

constexpr size_t kUidBytes = 16;

uint64_t HashOf(absl::string_view collection, absl::string_view document, uint64_t revision) {
  return absl::Hash<std::tuple<absl::string_view, absl::string_view, uint64_t>>()(
      {collection, document, revision});
}

bool IsPurged(const HubRecord& record) { return record.state() == storage::v1::HUB_STATE_PURGED; }

}  // namespace

void IntegrityWalk::Find(std::string what) {
  const bool catalog = now_.prefix == CatalogPartition().prefix;
  FindAt(shard_, catalog ? "" : now_.prefix, std::move(what));
}

void IntegrityWalk::FindAt(uint32_t shard, absl::string_view uid, std::string what) {
  IntegrityFinding finding{shard, absl::BytesToHexString(uid), std::move(what), "", ""};
  if (const auto named = hubs_.find(uid); named != hubs_.end()) {
    finding.tenant = named->second.tenant();
    finding.hub = named->second.hub();
  }
  report_(std::move(finding));
}

void IntegrityWalk::Add(absl::string_view key, absl::string_view value) {
  ++counts_.rows;
  counts_.bytes += key.size() + value.size();
  if (key.size() <= kUidBytes) return Find("a key is shorter than a key can be");
  if (key.substr(0, kUidBytes) != now_.prefix) {
    EndPartition();
    now_ = Partition();
    now_.prefix = std::string(key.substr(0, kUidBytes));
    now_.unreadable = after_gap_;
    if (after_gap_) Find("its first rows may be among those before it that cannot be read");
  }
  if (after_gap_) {
    gaps_.back().before = now_.prefix;
    if (gaps_.back().after == now_.prefix) gaps_.pop_back();  // one within a hub hides no other
  }
  after_gap_ = false;
  key.remove_prefix(kUidBytes);
  if (now_.prefix == CatalogPartition().prefix) {
    AddCatalogRow(key, value);
  } else {
    AddHubRow(key, value);
  }
}

void IntegrityWalk::AddCatalogRow(absl::string_view key, absl::string_view value) {
  if (static_cast<Table>(key[0]) != Table::kHubsByName) return;
  HubRecord record;
  if (!record.ParseFromArray(value.data(), static_cast<int>(value.size())) ||
      record.uid().size() != kUidBytes) {
    return Find("the record of a hub does not parse");
  }
  if (!IsPurged(record)) {
    const auto sealed = crypto::SealedDocument::Parse(record.sealed_body());
    if (!sealed.ok()) Find("the envelope of a hub's own record is damaged");
  }
  ++counts_.hubs;
  const std::string uid = record.uid();
  if (!hubs_.emplace(uid, std::move(record)).second) Find("two hubs have one uid");
}

void IntegrityWalk::AddHubRow(absl::string_view key, absl::string_view value) {
  switch (static_cast<Table>(key[0])) {
    case Table::kPartitionState: now_.last_sequence = ReadU64(value); break;
    case Table::kFeed: AddFeed(key, value); break;
    case Table::kSkipped: {
      storage::v1::SkippedSequences skipped;
      if (!skipped.ParseFromArray(value.data(), static_cast<int>(value.size())) ||
          skipped.ranges().empty()) {
        return Find("the record of the numbers that a restore left out does not parse");
      }
      if (skipped.ranges().rbegin()->until() > now_.last_sequence) {
        Find("a restore left out numbers above the hub's last sequence");
      }
      break;
    }
    case Table::kDocuments: {
      if (key.size() != 1 + 3 * kUidBytes) return Find("the key of a document is malformed");
      ++counts_.documents;
      const uint64_t revision = AddEnvelope("a document", value);
      if (revision == 0) return;
      now_.balance[std::string(key.substr(1, kUidBytes))] -=
          HashOf(key.substr(1 + kUidBytes, kUidBytes), key.substr(1 + 2 * kUidBytes), revision);
      break;
    }
    case Table::kProjects: {
      storage::v1::ProjectRecord record;
      if (!record.ParseFromArray(value.data(), static_cast<int>(value.size()))) {
        return Find("the record of a project does not parse");
      }
      now_.projects.insert(record.uid());
      AddEnvelope("a project", record.sealed_body());
      break;
    }
    case Table::kDeks: {
      storage::v1::DekRecord record;
      if (!record.ParseFromArray(value.data(), static_cast<int>(value.size())) ||
          record.ciphertext().empty() || record.check().empty() || record.kek_id().empty()) {
        return Find("the record of a DEK is damaged");
      }
      now_.deks.insert(record.dek_id());
      break;
    }
    case Table::kHubSecrets:
      now_.secrets = true;
      AddEnvelope("a hub's secrets", value);
      break;
    case Table::kKeyChange: {
      storage::v1::CustomerKey key;
      if (!key.ParseFromArray(value.data(), static_cast<int>(value.size()))) {
        return Find("the record of a change of the hub's key does not parse");
      }
      break;
    }
    case Table::kResponses: AddEnvelope("a kept answer", value); break;
    default: break;
  }
}

void IntegrityWalk::AddFeed(absl::string_view key, absl::string_view value) {
  const std::optional<Sequence> sequence = ParseFeedKey(key);
  storage::v1::FeedRecord record;
  if (!sequence.has_value() ||
      !record.ParseFromArray(value.data(), static_cast<int>(value.size()))) {
    return Find("an entry of the change feed does not parse");
  }
  ++counts_.feed_records;
  now_.last_fed = *sequence;
  for (const FeedChange& change : record.changes()) {
    const bool put = change.kind() == FeedChange::KIND_DOCUMENT_PUT;
    const bool deleted = change.kind() == FeedChange::KIND_DOCUMENT_DELETED;
    if (!put && !deleted) continue;
    uint64_t& balance = now_.balance[change.project_uid()];
    const auto hash = [&change](uint64_t revision) {
      return HashOf(change.blind_collection(), change.blind_document(), revision);
    };
    if (put) balance += hash(change.revision());
    if (change.revision() > 1) balance -= hash(change.revision() - 1);
    if (deleted) AddEnvelope("a tombstone", change.sealed_tombstone());
  }
}

uint64_t IntegrityWalk::AddEnvelope(absl::string_view name, absl::string_view value) {
  const auto sealed = crypto::SealedDocument::Parse(std::string(value));
  if (!sealed.ok()) {
    Find(absl::StrCat("the envelope of ", name, " is damaged"));
    return 0;
  }
  ++now_.deks_used[std::string(sealed->dek_id().bytes())];
  return sealed->revision();
}

void IntegrityWalk::EndPartition() {
  if (now_.prefix.empty() || now_.prefix == CatalogPartition().prefix) return;
  const auto hub = hubs_.find(now_.prefix);
  if (hub == hubs_.end()) {
    ++counts_.unnamed_hubs;
    return;
  }
  seen_.insert(now_.prefix);
  const HubRecord& record = hub->second;
  if (now_.unreadable) return;
  if (record.shard() != shard_) Find("rows of a hub are in another shard than its own");
  // Its rows go in the steps of a purge; whatever is left is noise.
  if (IsPurged(record)) return;
  if (now_.deks.empty() || !now_.secrets) Find("the keys of a hub are missing");
  if (now_.last_fed > now_.last_sequence) {
    Find("the change feed goes further than the hub's last sequence");
  }
  for (const auto& [dek, uses] : now_.deks_used) {
    if (now_.deks.contains(dek)) continue;
    Find(absl::StrCat(uses, " envelopes are of DEK ", absl::BytesToHexString(dek),
                      ", of which there is no record"));
  }
  for (const auto& [project, balance] : now_.balance) {
    // The documents of a deleted project go by and by, without feed entries of their own.
    if (balance == 0 || !now_.projects.contains(project)) continue;
    Find(absl::StrCat("the documents of project uid ", absl::BytesToHexString(project),
                      " are not what the change feed says"));
  }
}

void IntegrityWalk::SkipUnreadable(uint64_t bytes) {
  counts_.skipped_bytes += bytes;
  const std::string why = absl::StrCat(" cannot be read: a checksum does not match; about ",
                                       bytes / 1024 + 1, " KiB are skipped");
  // A shard's first rows are the catalog's, if it has them.
  const bool catalog = shard_ == 0 && now_.prefix <= CatalogPartition().prefix;
  if (catalog) {
    now_.prefix = CatalogPartition().prefix;
    knows_all_hubs_ = false;
    Find(absl::StrCat("rows of the catalog", why, "; there may be more hubs"));
  } else if (now_.prefix.empty()) {
    FindAt(shard_, "", absl::StrCat("the first rows", why));
  } else {
    Find(absl::StrCat("rows of this hub, or of those beside it,", why));
  }
  now_.unreadable = true;
  if (!after_gap_) gaps_.push_back({shard_, now_.prefix, ""});
  after_gap_ = true;
}

void IntegrityWalk::EndShard() {
  EndPartition();
  now_ = Partition();
  after_gap_ = false;
}

bool IntegrityWalk::MayBeInAGap(uint32_t shard, absl::string_view uid) const {
  return std::any_of(gaps_.begin(), gaps_.end(), [&](const Gap& gap) {
    return gap.shard == shard && uid > gap.after && (gap.before.empty() || uid < gap.before);
  });
}

void IntegrityWalk::Finish() {
  for (const auto& [uid, record] : hubs_) {
    if (IsPurged(record) || seen_.contains(uid)) continue;
    FindAt(record.shard(), uid,
           MayBeInAGap(record.shard(), uid)
               ? "no row of the hub could be read; all may be in a part of the shard that was "
                 "skipped"
               : "no row of the hub is there");
  }
}

}  // namespace cmkstore::store
