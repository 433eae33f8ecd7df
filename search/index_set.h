#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "base/ids.h"
#include "search/change_source.h"
#include "search/sqlite_hub_index.h"

namespace cmkstore::search {

// The cause of STATE_INVALID from Rebuild.
inline constexpr char kRebuildingAlready[] = "rebuilding_already";

struct IndexSetOptions {
  std::string directory;  // made with mode 0700 if absent; `<hub uid>.index` inside
  // Each takes up to 3 descriptors and some 200 KiB beside its cache. Those in use are not closed
  // to keep it: there can be more for as long as more calls are under way.
  size_t max_open = 256;
  // Beside all that, for what searches and changes under way need together, whosever they are. It
  // bounds the whole process.
  int64_t working_bytes = 256 << 20;
  SqliteHubIndexOptions index;
};

struct IndexSetStats {
  size_t open = 0;
  size_t slots = 0;  // hubs that something is kept of: those of open indexes, and what is under way
  uint64_t opened = 0;
  uint64_t evicted = 0;
  uint64_t rebuilt = 0;
};

// The search indexes of all hubs: opened on demand, the least recently used closed first.
//
// The key is asked of `source` each time a file is opened, and asked for again when the index was
// closed meanwhile: one that a lock has closed is not opened again by a call that began before the
// lock.
//
// Thread-safe. Blocking (disk, key cache); a call waits for others on the same hub, never for
// another hub. `source` must outlive this.
//
// Errors: INDEX_CORRUPT when the file does not open under the key (rebuild), STORE_BUSY,
// STORE_FULL, and those of `source`.
class IndexSet {
 public:
  // Bounds SQLite's memory, and removes what an unfinished rebuild has left behind. Errors:
  // STORE_FULL without room for the directory, STATE_INVALID when it cannot be made or read.
  static absl::StatusOr<std::unique_ptr<IndexSet>> Create(IndexSetOptions options,
                                                          ChangeSource& source);

  // The hub's index, provisioned empty (sequence 0) when there is none. Do not keep the pointer
  // beyond a request.
  absl::StatusOr<std::shared_ptr<SqliteHubIndex>> Open(HubUid hub);
  // Closes the hub's index and wipes its key; those who hold it get HUB_LOCKED. A rebuild under way
  // is abandoned. Waits for an opening or a swap of its files, for the document in hand, and while
  // the log is folded in. Returns whether it was open.
  bool Close(HubUid hub);
  // Closes it unless somebody uses it; false: somebody does.
  bool CloseUnused(HubUid hub);
  // Closes and deletes the files of the hub.
  void Destroy(HubUid hub);
  // Fills an empty index beside the one that goes on serving, and swaps; those who hold the old one
  // then get STORE_BUSY. A crash leaves the old one, the new one, or (when the old one's log could
  // not be folded in) none.
  absl::Status Rebuild(HubUid hub, const std::function<absl::Status(SqliteHubIndex&)>& fill);

  bool IsRebuilding(HubUid hub);
  // Size of the hub's files; 0 when there are none. Opens nothing.
  int64_t FileBytes(HubUid hub) const;

  // The names of all that lies in the directory. Errors: STORE_BUSY when it cannot be read.
  absl::StatusOr<std::vector<std::string>> ListFiles() const;
  // What is wrong with the hub's index as far as files tell without a key (index_files.h); nullopt:
  // it has none. One that is open is not looked at: it is read under its key.
  std::optional<std::string> DamageOf(HubUid hub);

  IndexSetStats Stats() const;

 private:
  struct Slot {
    absl::Mutex io;  // held while its files are opened, closed or swapped
    std::shared_ptr<SqliteHubIndex> index ABSL_GUARDED_BY(io);
    uint64_t closed ABSL_GUARDED_BY(io) = 0;  // times; a rebuild begun before gives up
    std::shared_ptr<SqliteHubIndex> rebuild ABSL_GUARDED_BY(io);
    std::list<HubUid>::iterator recency;  // guarded by IndexSet::mutex_
    bool listed = false;                  // its index is open; guarded by IndexSet::mutex_
  };
  // A hub's slot for as long as a call needs it; goes with the last call if no index is open.
  class SlotUse {
   public:
    SlotUse(IndexSet& set, HubUid hub);
    ~SlotUse();
    SlotUse(const SlotUse&) = delete;
    SlotUse& operator=(const SlotUse&) = delete;
    Slot* operator->() const { return slot_.get(); }
    Slot& operator*() const { return *slot_; }

   private:
    IndexSet& set_;
    const HubUid hub_;
    std::shared_ptr<Slot> slot_;
  };

  IndexSet(IndexSetOptions options, ChangeSource& source)
      : options_(std::move(options)), source_(source) {}

  std::string PathOf(HubUid hub) const;
  void Touch(HubUid hub, Slot& slot);
  void Unlist(Slot& slot);
  void EvictBeyondBound();
  // Closes the slot's index if nobody uses it; false when there is no need for more.
  bool Evict(Slot& slot);

  const IndexSetOptions options_;
  ChangeSource& source_;
  mutable absl::Mutex mutex_;  // never held across I/O
  absl::flat_hash_map<HubUid, std::shared_ptr<Slot>> slots_ ABSL_GUARDED_BY(mutex_);
  std::list<HubUid> recency_ ABSL_GUARDED_BY(mutex_);  // open ones, most recently used first
  IndexSetStats stats_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace cmkstore::search
