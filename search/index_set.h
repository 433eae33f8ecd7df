#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "base/ids.h"
#include "crypto/secret_bytes.h"
#include "search/hub_index.h"
#include "search/sqlite_hub_index.h"

namespace cmkstore::search {

struct IndexSetOptions {
  std::string directory;  // made with mode 0700 if absent; `<hub uid>.index` inside
  size_t max_open = 256;  // each takes up to 3 descriptors and some 200 KiB
  SqliteHubIndexOptions index;
};

struct IndexSetStats {
  size_t open = 0;
  uint64_t opened = 0;
  uint64_t evicted = 0;
};

// The search indexes of all hubs: opened on demand, the least recently used closed first.
//
// At most `max_open` indexes are open; an index that somebody holds is not evicted, and an Open
// that finds no room is refused with STORE_BUSY. An index is open once only, whoever asks.
//
// Thread-safe. Blocking (disk); a call waits for others on the same hub, never for another hub.
//
// Errors: INDEX_CORRUPT when the file does not open under the key (rebuild), STORE_BUSY,
// STORE_FULL, and whatever the key getter gives. An index that was closed by Close answers
// INDEX_CLOSED (UNAVAILABLE).
class IndexSet {
 public:
  using KeyGetter = std::function<absl::StatusOr<crypto::SecretBytes>()>;

  // Removes what an unfinished rebuild has left behind.
  static absl::StatusOr<std::unique_ptr<IndexSet>> Create(IndexSetOptions options);
  ~IndexSet();

  // The hub's index, provisioned empty (sequence 0) when there is none. `key` is asked only when
  // the index is not open yet. Do not keep the pointer beyond a request.
  absl::StatusOr<std::shared_ptr<HubIndex>> Open(HubUid hub, const KeyGetter& key);
  // Whether the hub's index is open now.
  bool IsOpen(HubUid hub) const;
  // Closes the hub's index and a rebuild of it, waiting for nothing but the statement in flight,
  // and wipes the key; those who still hold the index get INDEX_CLOSED. Returns whether it was
  // open.
  bool Close(HubUid hub);
  void CloseAll();
  // Closes and deletes the files of the hub. OK when there are none.
  absl::Status Destroy(HubUid hub);

  // An empty index beside the one that goes on serving; a second call abandons the first's.
  absl::StatusOr<std::shared_ptr<HubIndex>> StartRebuild(HubUid hub, const KeyGetter& key);
  // Puts the rebuilt index in place of the old one, durably; the next Open finds it. STATE_INVALID
  // when there is no rebuild (Close or Destroy came between). A crash leaves the old one or the new
  // one.
  absl::Status FinishRebuild(HubUid hub);
  void AbandonRebuild(HubUid hub);

  IndexSetStats Stats() const;

 private:
  // One hub. `io` is held across opening and closing of its files, `mutex_` never.
  struct Slot {
    absl::Mutex io;
    std::shared_ptr<SqliteHubIndex> index ABSL_GUARDED_BY(io);
    std::shared_ptr<SqliteHubIndex> rebuild ABSL_GUARDED_BY(io);
    uint64_t last_used = 0;  // guarded by IndexSet::mutex_
    bool open = false;       // guarded by IndexSet::mutex_
  };

  explicit IndexSet(IndexSetOptions options);
  std::string PathOf(HubUid hub) const;
  std::shared_ptr<Slot> SlotOf(HubUid hub);
  absl::Status MakeRoom(const Slot* except);
  std::shared_ptr<Slot> LeastRecentlyUsed(const Slot* except);
  void SetOpen(Slot& slot, bool open);
  absl::StatusOr<std::shared_ptr<SqliteHubIndex>> OpenFile(HubUid hub, const std::string& path,
                                                           const KeyGetter& key);
  void CloseRebuild(HubUid hub, Slot& slot) ABSL_EXCLUSIVE_LOCKS_REQUIRED(slot.io);

  const IndexSetOptions options_;
  mutable absl::Mutex mutex_;
  absl::flat_hash_map<HubUid, std::shared_ptr<Slot>> slots_ ABSL_GUARDED_BY(mutex_);
  uint64_t tick_ ABSL_GUARDED_BY(mutex_) = 0;
  size_t open_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t opened_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t evicted_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace cmkstore::search
