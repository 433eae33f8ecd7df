#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "cmkstore/storage/v1/records.pb.h"

namespace cmkstore::service {

// Records of the server's operations that the store did not take: of what only looks, which a
// damaged store must not prevent. A restart forgets them. Of those that are done the newest are
// kept, `kMax` with those that run. Thread-safe.
class UnstoredOperations {
 public:
  static constexpr size_t kMax = 200;

  void Add(const storage::v1::OperationRecord& record);
  std::optional<storage::v1::OperationRecord> Find(const std::string& id) const;
  // False: it is none of these.
  bool Change(const std::string& id,
              const std::function<void(storage::v1::OperationRecord&)>& edit);
  bool Remove(const std::string& id);
  // The store's `records`, the first `count` behind the id `after`, with these among them, which
  // prevail; `count` at most.
  std::vector<storage::v1::OperationRecord> MergeInto(
      std::vector<storage::v1::OperationRecord> records, absl::string_view after,
      size_t count) const;

 private:
  mutable absl::Mutex mutex_;
  std::map<std::string, storage::v1::OperationRecord> records_ ABSL_GUARDED_BY(mutex_);  // by id
};

}  // namespace cmkstore::service
