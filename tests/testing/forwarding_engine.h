#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "store/memory/memory_engine.h"

namespace cmkstore::testing {

// An engine in memory for tests to derive from that want one of its answers to be another.
class ForwardingEngine : public store::Engine {
 public:
  uint32_t shard_count() const override { return engine_.shard_count(); }
  absl::StatusOr<std::optional<std::string>> Get(const store::Partition& partition,
                                                 absl::string_view key) const override {
    return engine_.Get(partition, key);
  }
  absl::StatusOr<std::vector<std::optional<std::string>>> MultiGet(
      const store::Partition& partition, const std::vector<std::string>& keys,
      size_t enough_bytes) const override {
    return engine_.MultiGet(partition, keys, enough_bytes);
  }
  absl::StatusOr<std::vector<store::Row>> Scan(const store::Partition& partition,
                                               const store::KeyRange& range,
                                               store::ReadLimit limit) const override {
    return engine_.Scan(partition, range, limit);
  }
  void Apply(const store::Partition& partition, store::WriteSet writes, Done done) override {
    engine_.Apply(partition, std::move(writes), std::move(done));
  }
  absl::StatusOr<store::Sequence> LastSequence(const store::Partition& partition) const override {
    return engine_.LastSequence(partition);
  }
  absl::Status DropPartition(const store::Partition& partition) override {
    return engine_.DropPartition(partition);
  }

 private:
  store::MemoryEngine engine_{1};
};

}  // namespace cmkstore::testing
