#pragma once

#include <functional>
#include <iterator>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "search/change_source.h"
#include "tests/search/index_fixture.h"

namespace cmkstore::search {

// The documents of one hub and the feed of their changes, in memory.
class FakeChangeSource final : public ChangeSource {
 public:
  explicit FakeChangeSource(crypto::SecretBytes key)
      : key_(std::make_shared<const crypto::SecretBytes>(std::move(key))) {}

  uint64_t Write(const std::string& id, const std::string& content) {
    return WriteTogether({id}, content);
  }
  uint64_t WriteTogether(const std::vector<std::string>& ids, const std::string& content) {
    absl::MutexLock lock(&mutex_);
    for (const std::string& id : ids) documents_[id] = content;
    feed_[++last_] = ids;
    return last_;
  }
  uint64_t Remove(const std::string& id) {
    absl::MutexLock lock(&mutex_);
    documents_.erase(id);
    feed_[++last_] = {id};
    return last_;
  }
  // As a restored store is: the last `commits` commits never were.
  void PutBack(uint64_t commits) {
    absl::MutexLock lock(&mutex_);
    for (; commits > 0; --commits, --last_) {
      for (const std::string& id : feed_[last_]) documents_.erase(id);
      feed_.erase(last_);
    }
  }
  // As a restored store goes on: the next commit is numbered behind `sequence`.
  void SkipTo(uint64_t sequence) {
    absl::MutexLock lock(&mutex_);
    skipped_after_ = last_;
    skipped_until_ = last_ = sequence;
  }
  void Refuse(absl::Status status) {
    absl::MutexLock lock(&mutex_);
    refusal_ = std::move(status);
  }
  // Runs, without locks, before each page of a snapshot is given.
  void BeforeSnapshot(std::function<void()> action) { before_snapshot_ = std::move(action); }
  // The same before each batch of the feed.
  void BeforeRead(std::function<void()> action) { before_read_ = std::move(action); }
  // The same each time that the key is about to be refused.
  void OnRefusal(std::function<void()> action) { on_refusal_ = std::move(action); }
  // A commit of more changes is given in several batches, as one with much content is.
  void GiveAtMost(size_t changes) { most_at_once_ = changes; }
  // What is stored of it does not open from now on.
  void Damage(const std::string& id) {
    absl::MutexLock lock(&mutex_);
    damaged_.insert(id);
  }
  int reads() {
    absl::MutexLock lock(&mutex_);
    return reads_;
  }
  size_t documents() {
    absl::MutexLock lock(&mutex_);
    return documents_.size();
  }

  absl::StatusOr<std::shared_ptr<const crypto::SecretBytes>> IndexKey(HubUid) override {
    absl::Status refused;
    {
      absl::MutexLock lock(&mutex_);
      if (refusal_.ok()) return key_;
      refused = refusal_;
    }
    if (on_refusal_) on_refusal_();
    return refused;
  }
  absl::StatusOr<ChangeBatch> Read(HubUid, FeedPlace after, size_t limit) override {
    if (before_read_) before_read_();
    absl::MutexLock lock(&mutex_);
    ++reads_;
    ChangeBatch batch;
    batch.hub_sequence = last_;
    if (after.sequence < skipped_until_) {
      batch.skipped = skipped_until_ - std::max(after.sequence, skipped_after_);
    }
    batch.reached = {last_, 0};
    size_t told = static_cast<size_t>(after.told);
    for (auto entry = feed_.upper_bound(after.sequence); entry != feed_.end(); ++entry) {
      if (batch.changes.size() >= limit) break;
      const std::vector<std::string>& ids = entry->second;
      for (size_t i = told; i < ids.size(); ++i) {
        if (batch.changes.size() == most_at_once_) {
          batch.reached = {entry == feed_.begin() ? 0 : std::prev(entry)->first,
                           static_cast<int>(i)};
          return batch;
        }
        batch.changes.push_back(StateOf(ids[i]));
      }
      told = 0;
      batch.reached = {entry->first, 0};
    }
    return batch;
  }
  absl::StatusOr<uint64_t> LastSequence(HubUid) override {
    absl::MutexLock lock(&mutex_);
    return last_;
  }
  absl::StatusOr<SnapshotPage> Snapshot(HubUid, const std::string& cursor, size_t limit) override {
    if (before_snapshot_) before_snapshot_();
    absl::MutexLock lock(&mutex_);
    SnapshotPage page;
    for (auto entry = documents_.upper_bound(cursor); entry != documents_.end(); ++entry) {
      if (page.documents.size() == limit) {
        page.next_cursor = std::prev(entry)->first;
        break;
      }
      page.documents.push_back(StateOf(entry->first));
    }
    return page;
  }
  std::string NameOf(HubUid) override { return "tenants/t1/hubs/h1"; }

 private:
  IndexChange StateOf(const std::string& id) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (damaged_.contains(id)) return {Removed(id).key, std::nullopt, /*unreadable=*/true};
    const auto found = documents_.find(id);
    return found == documents_.end() ? Removed(id) : Put(id, found->second);
  }

  const std::shared_ptr<const crypto::SecretBytes> key_;
  std::function<void()> before_snapshot_, before_read_, on_refusal_;
  size_t most_at_once_ = 500;
  absl::Mutex mutex_;
  uint64_t skipped_after_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t skipped_until_ ABSL_GUARDED_BY(mutex_) = 0;
  std::map<std::string, std::string> documents_ ABSL_GUARDED_BY(mutex_);
  std::set<std::string> damaged_ ABSL_GUARDED_BY(mutex_);
  std::map<uint64_t, std::vector<std::string>> feed_ ABSL_GUARDED_BY(mutex_);
  uint64_t last_ ABSL_GUARDED_BY(mutex_) = 0;
  int reads_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::Status refusal_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace cmkstore::search
