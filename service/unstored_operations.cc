#include "service/unstored_operations.h"

#include <utility>

namespace cmkstore::service {

using storage::v1::OperationRecord;

void UnstoredOperations::Add(const OperationRecord& record) {
  absl::MutexLock lock(&mutex_);
  // Ids fall as time goes on.
  for (auto oldest = records_.end(); records_.size() >= kMax && oldest != records_.begin();) {
    --oldest;
    if (oldest->second.done()) oldest = records_.erase(oldest);
  }
  records_[record.operation()] = record;
}

std::optional<OperationRecord> UnstoredOperations::Find(const std::string& id) const {
  absl::MutexLock lock(&mutex_);
  const auto found = records_.find(id);
  if (found == records_.end()) return std::nullopt;
  return found->second;
}

bool UnstoredOperations::Change(const std::string& id,
                                const std::function<void(OperationRecord&)>& edit) {
  absl::MutexLock lock(&mutex_);
  const auto found = records_.find(id);
  if (found == records_.end()) return false;
  edit(found->second);
  return true;
}

bool UnstoredOperations::Remove(const std::string& id) {
  absl::MutexLock lock(&mutex_);
  return records_.erase(id) > 0;
}

std::vector<OperationRecord> UnstoredOperations::MergeInto(std::vector<OperationRecord> records,
                                                           absl::string_view after,
                                                           size_t count) const {
  std::map<std::string, OperationRecord> merged;
  {
    absl::MutexLock lock(&mutex_);
    merged.insert(records_.upper_bound(std::string(after)), records_.end());
  }
  for (OperationRecord& record : records) {
    const std::string id = record.operation();
    merged.emplace(id, std::move(record));
  }
  records.clear();
  for (auto& [id, record] : merged) {
    if (records.size() == count) break;
    records.push_back(std::move(record));
  }
  return records;
}

}  // namespace cmkstore::service
