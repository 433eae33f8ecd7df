#include "search/index_set.h"

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/errors.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "search/index_files.h"

namespace cmkstore::search {
namespace {

constexpr absl::string_view kRebuildSuffix = ".rebuild";
constexpr int64_t kOpenBytes = 256 << 10;  // of an open index, beside its cache
constexpr size_t kMaxSkipped = 64;         // oldest ones in use that an eviction looks past

// Of links themselves, never of what they lead to; of directories only empty ones.
absl::Status RemoveWhatIsNoFile(const std::string& path) {
  for (const char* suffix : {"-wal", "-journal", ""}) {
    const std::string name = absl::StrCat(path, suffix);
    std::error_code failed;
    if (IsNoPlainFile(name)) std::filesystem::remove(name, failed);
    if (failed) return IndexFileFailed("removed", name, failed.value());
  }
  return absl::OkStatus();
}

// Only who starts the server sees it: it names the directory.
absl::Status Unusable(const std::string& directory, const std::error_code& why) {
  const bool full =
      why == std::errc::no_space_on_device || why == std::error_code(EDQUOT, why.category());
  if (full) return Annotate(StoreFull(), directory);
  return StateInvalid(absl::StrCat(directory, " cannot hold the search indexes: ", why.message()));
}

}  // namespace

absl::StatusOr<std::unique_ptr<IndexSet>> IndexSet::Create(IndexSetOptions options,
                                                           ChangeSource& source) {
  std::error_code failed;
  std::filesystem::create_directories(options.directory, failed);
  if (!failed) {
    std::filesystem::permissions(options.directory, std::filesystem::perms::owner_all, failed);
  }
  if (failed) return Unusable(options.directory, failed);
  std::vector<std::filesystem::path> left;
  std::filesystem::directory_iterator entry(options.directory, failed);
  for (; !failed && entry != std::filesystem::directory_iterator(); entry.increment(failed)) {
    if (absl::StrContains(entry->path().filename().string(), kRebuildSuffix)) {
      left.push_back(entry->path());
    }
  }
  if (failed) return Unusable(options.directory, failed);
  for (const auto& path : left) std::filesystem::remove(path, failed);
  LimitSqliteMemory(options.working_bytes + static_cast<int64_t>(options.max_open) *
                                                (options.index.cache_bytes + kOpenBytes));
  return std::unique_ptr<IndexSet>(new IndexSet(std::move(options), source));
}

std::string IndexSet::PathOf(HubUid hub) const {
  return absl::StrCat(options_.directory, "/", hub.ToHex(), ".index");
}

IndexSet::SlotUse::SlotUse(IndexSet& set, HubUid hub) : set_(set), hub_(hub) {
  absl::MutexLock lock(&set_.mutex_);
  std::shared_ptr<Slot>& slot = set_.slots_[hub];
  if (slot == nullptr) slot = std::make_shared<Slot>();
  slot_ = slot;
}

IndexSet::SlotUse::~SlotUse() {
  absl::MutexLock lock(&set_.mutex_);
  const bool last = slot_.use_count() == 2;  // this one and the set's
  if (last && !slot_->listed) set_.slots_.erase(hub_);
  slot_.reset();
}

void IndexSet::Touch(HubUid hub, Slot& slot) {
  absl::MutexLock lock(&mutex_);
  if (slot.listed) {
    recency_.splice(recency_.begin(), recency_, slot.recency);
  } else {
    recency_.push_front(hub);
    slot.recency = recency_.begin();
    slot.listed = true;
    ++stats_.opened;
  }
}

void IndexSet::Unlist(Slot& slot) {
  absl::MutexLock lock(&mutex_);
  if (std::exchange(slot.listed, false)) recency_.erase(slot.recency);
}

absl::StatusOr<std::shared_ptr<SqliteHubIndex>> IndexSet::Open(HubUid hub) {
  const SlotUse slot(*this, hub);
  std::shared_ptr<const crypto::SecretBytes> key;
  uint64_t closed = 0;
  for (;;) {
    std::shared_ptr<SqliteHubIndex> index;
    {
      absl::MutexLock lock(&slot->io);
      if (slot->index == nullptr && key != nullptr && slot->closed == closed) {
        CMK_ASSIGN_OR_RETURN(slot->index,
                             SqliteHubIndex::Open(PathOf(hub), hub, *key, options_.index));
      }
      index = slot->index;
      if (index != nullptr) Touch(hub, *slot);
      closed = slot->closed;
    }
    if (index != nullptr) {
      EvictBeyondBound();
      return index;
    }
    // It may be on its way from the vault: a lock of the hub waits for nobody who waits for that.
    CMK_ASSIGN_OR_RETURN(key, source_.IndexKey(hub));
  }
}

// One that is in use stays: closed behind its user's back it could not be opened again before that
// call has ended, and a lock could not end the call. Nobody waits here for another hub.
void IndexSet::EvictBeyondBound() {
  std::vector<HubUid> oldest;
  {
    absl::MutexLock lock(&mutex_);
    if (recency_.size() <= options_.max_open) return;
    const size_t wanted = recency_.size() - options_.max_open + kMaxSkipped;
    for (auto hub = recency_.rbegin(); hub != recency_.rend() && oldest.size() < wanted; ++hub) {
      oldest.push_back(*hub);
    }
  }
  for (const HubUid hub : oldest) {
    const SlotUse slot(*this, hub);
    if (!Evict(*slot)) return;
  }
}

bool IndexSet::Evict(Slot& slot) {
  if (!slot.io.TryLock()) return true;
  const bool idle = slot.index != nullptr && slot.index.use_count() == 1;
  bool beyond = false;
  {
    absl::MutexLock lock(&mutex_);
    beyond = recency_.size() > options_.max_open;
    if (beyond && idle) {
      if (std::exchange(slot.listed, false)) recency_.erase(slot.recency);
      ++stats_.evicted;
    }
  }
  if (beyond && idle) slot.index.reset();
  slot.io.Unlock();
  return beyond;
}

bool IndexSet::Close(HubUid hub) {
  const SlotUse slot(*this, hub);
  absl::MutexLock lock(&slot->io);
  ++slot->closed;
  const bool was_open = slot->index != nullptr;
  for (const auto& index : {slot->index, slot->rebuild}) {
    if (index != nullptr) index->Close();
  }
  slot->index.reset();
  Unlist(*slot);
  return was_open;
}

bool IndexSet::CloseUnused(HubUid hub) {
  const SlotUse slot(*this, hub);
  absl::MutexLock lock(&slot->io);
  if (slot->index.use_count() > 1) return false;
  slot->index.reset();
  Unlist(*slot);
  return true;
}

void IndexSet::Destroy(HubUid hub) {
  Close(hub);
  const SlotUse slot(*this, hub);
  absl::MutexLock lock(&slot->io);
  SqliteHubIndex::Destroy(PathOf(hub));
  SyncDirectory(options_.directory);
}

absl::Status IndexSet::Rebuild(HubUid hub,
                               const std::function<absl::Status(SqliteHubIndex&)>& fill) {
  const SlotUse slot(*this, hub);
  const std::string path = PathOf(hub), beside = absl::StrCat(path, kRebuildSuffix);
  std::shared_ptr<SqliteHubIndex> rebuild;
  uint64_t closed = 0;
  {
    absl::MutexLock lock(&slot->io);
    closed = slot->closed;
  }
  CMK_ASSIGN_OR_RETURN(const auto key, source_.IndexKey(hub));
  {
    absl::MutexLock lock(&slot->io);
    if (slot->rebuild != nullptr) {
      return WithCause(StateInvalid("the index is being rebuilt already"), kRebuildingAlready);
    }
    if (slot->closed != closed) return HubLocked();
    CMK_RETURN_IF_ERROR(RemoveWhatIsNoFile(path));
    CMK_RETURN_IF_ERROR(RemoveWhatIsNoFile(beside));
    SqliteHubIndex::Destroy(beside);
    CMK_ASSIGN_OR_RETURN(rebuild, SqliteHubIndex::Open(beside, hub, *key, options_.index));
    slot->rebuild = rebuild;
  }
  absl::Status status = fill(*rebuild);
  rebuild->Close();
  absl::MutexLock lock(&slot->io);
  slot->rebuild.reset();
  if (status.ok() && slot->closed != closed) status = HubLocked();
  // What is still in its log is missing from the file that would be swapped in.
  std::error_code ignored;
  if (status.ok() && std::filesystem::exists(beside + "-wal", ignored)) status = StoreFull();
  if (status.ok()) {
    if (slot->index != nullptr) slot->index->CloseForAnother();
    slot->index.reset();
    Unlist(*slot);
    // A log that closing did not fold in would be applied to the new file: it goes, and before it
    // its main file, which is nothing without it.
    if (std::filesystem::exists(absl::StrCat(path, "-wal"), ignored)) {
      std::remove(path.c_str());
      SyncDirectory(options_.directory);
      SqliteHubIndex::Destroy(path);
    }
    if (std::rename(beside.c_str(), path.c_str()) != 0) {
      status = IndexFileFailed("put in its place", path, errno);
    }
    SyncDirectory(options_.directory);
  }
  SqliteHubIndex::Destroy(beside);
  if (status.ok()) {
    absl::MutexLock counting(&mutex_);
    ++stats_.rebuilt;
  }
  return status;
}

bool IndexSet::IsRebuilding(HubUid hub) {
  const SlotUse slot(*this, hub);
  absl::MutexLock lock(&slot->io);
  return slot->rebuild != nullptr;
}

int64_t IndexSet::FileBytes(HubUid hub) const {
  int64_t bytes = 0;
  for (const char* suffix : {"", "-wal"}) {
    std::error_code missing;
    const auto size = std::filesystem::file_size(absl::StrCat(PathOf(hub), suffix), missing);
    if (!missing) bytes += static_cast<int64_t>(size);
  }
  return bytes;
}

absl::StatusOr<std::vector<std::string>> IndexSet::ListFiles() const {
  std::vector<std::string> names;
  std::error_code failed;
  std::filesystem::directory_iterator entry(options_.directory, failed);
  for (; !failed && entry != std::filesystem::directory_iterator(); entry.increment(failed)) {
    std::error_code gone;  // meanwhile
    if (!entry->is_directory(gone)) names.push_back(entry->path().filename());
  }
  if (failed) return IndexFileFailed("listed", options_.directory, failed.value());
  return names;
}

std::optional<std::string> IndexSet::DamageOf(HubUid hub) {
  const SlotUse slot(*this, hub);
  absl::MutexLock lock(&slot->io);  // nobody opens or swaps it meanwhile
  if (slot->index != nullptr) return "";
  std::error_code ignored;
  const auto status = std::filesystem::symlink_status(PathOf(hub), ignored);
  if (!std::filesystem::exists(status)) return std::nullopt;
  return DamageOfIndexFile(PathOf(hub));
}

IndexSetStats IndexSet::Stats() const {
  absl::MutexLock lock(&mutex_);
  IndexSetStats stats = stats_;
  stats.open = recency_.size();
  stats.slots = slots_.size();
  return stats;
}

}  // namespace cmkstore::search
