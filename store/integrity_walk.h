#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "base/ids.h"
#include "cmkstore/storage/v1/records.pb.h"
#include "store/engine.h"

namespace cmkstore::store {

// Something that is not as it must be.
struct IntegrityFinding {
  uint32_t shard = 0;
  std::string hub_uid;  // hexadecimal; empty: the catalog's, or a file's
  std::string what;     // no name of a project or document
  std::string tenant;   // of the hub, where the catalog names it
  std::string hub;
};

struct IntegrityCounts {
  uint64_t rows = 0;
  uint64_t bytes = 0;
  uint64_t hubs = 0;
  uint64_t documents = 0;
  uint64_t feed_records = 0;
  // Hubs' rows that no name in the catalog leads to: what a crash in the middle of CreateHub
  // leaves. Not an error; nobody can read them.
  uint64_t unnamed_hubs = 0;
  uint64_t skipped_bytes = 0;  // of what could not be read, about
};

// Looks at every row of a store that stands still, without a key: opens nothing.
//
// What must hold of a hub that is in the catalog: its rows are in its shard; every envelope has a
// sound header and is of a DEK that the hub has a record of; every record parses. And of its change
// feed: neither an entry nor a number that a restore has left out is above the hub's last sequence,
// and what the feed says was put and deleted adds up to the documents that are there, revision by
// revision, for each project. So a lost row is found, and a lost feed entry.
//
// Rows are given in the order of their keys, shard by shard, the catalog's shard first; memory is
// bounded by the hubs and by one hub's projects. Not thread-safe.
class IntegrityWalk {
 public:
  using Report = std::function<void(IntegrityFinding)>;

  // `report` is called for each finding.
  explicit IntegrityWalk(Report report) : report_(std::move(report)) {}

  void BeginShard(uint32_t shard) { shard_ = shard; }
  // `key` with its partition's prefix.
  void Add(absl::string_view key, absl::string_view value);
  // Between two rows, or before the first of a shard: about so many bytes of rows that follow
  // cannot be read. Tells of the hub in hand, which is not judged then, nor is that of the next
  // row.
  void SkipUnreadable(uint64_t bytes);
  void EndShard();
  // After the last shard: hubs of which no row was there, or none could be read.
  void Finish();

  const IntegrityCounts& counts() const { return counts_; }
  // Whether all of the catalog could be read; else there are hubs of which nothing is known.
  bool knows_all_hubs() const { return knows_all_hubs_; }
  // Of the catalog, by uid; purged ones too.
  const absl::flat_hash_map<std::string, storage::v1::HubRecord>& hubs() const { return hubs_; }

 private:
  // Of the partition in hand.
  struct Partition {
    std::string prefix;
    Sequence last_sequence = 0, last_fed = 0;
    bool secrets = false;
    bool unreadable = false;     // some of its rows, at least
    std::set<std::string> deks;  // that there is a record of
    std::map<std::string, uint64_t> deks_used;
    // By project: what the feed says is there, minus what is there. 0 when they agree.
    absl::flat_hash_map<std::string, uint64_t> balance;
    std::set<std::string> projects;  // that there is a record of
  };

  // Between rows of these partitions some could not be read.
  struct Gap {
    uint32_t shard = 0;
    std::string after;   // empty: the shard's first rows
    std::string before;  // empty: its last
  };

  void Find(std::string what);
  void FindAt(uint32_t shard, absl::string_view uid, std::string what);
  void AddCatalogRow(absl::string_view key, absl::string_view value);
  void AddHubRow(absl::string_view key, absl::string_view value);
  void AddFeed(absl::string_view key, absl::string_view value);
  // The envelope's revision; 0 if it is damaged.
  uint64_t AddEnvelope(absl::string_view name, absl::string_view value);
  void EndPartition();
  // Whether rows of a hub may be among those that could not be read, though none was read.
  bool MayBeInAGap(uint32_t shard, absl::string_view uid) const;

  const Report report_;
  uint32_t shard_ = 0;
  Partition now_;
  bool after_gap_ = false;                                         // since the last row
  absl::flat_hash_map<std::string, storage::v1::HubRecord> hubs_;  // by uid
  std::set<std::string> seen_;                                     // hubs whose rows were there
  std::vector<Gap> gaps_;
  bool knows_all_hubs_ = true;
  IntegrityCounts counts_;
};

}  // namespace cmkstore::store
