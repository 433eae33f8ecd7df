#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <optional>
#include <ostream>
#include <string>

#include "store/commit_queue.h"
#include "store/engine.h"
#include "tests/testing/temp_dir.h"

namespace cmkstore::store {

// How the contract suite gets an engine of one kind, with two shards, empty, in `directory`.
struct EngineKind {
  std::string name;
  std::function<std::unique_ptr<Engine>(const std::string& directory, const CommitLimits& limits)>
      open;

  friend void PrintTo(const EngineKind& kind, std::ostream* out) { *out << kind.name; }
};

// What every Engine must do (store/engine.h), and each engine's test instantiates.
class EngineContractTest : public ::testing::TestWithParam<EngineKind> {
 protected:
  EngineContractTest() { Open({}); }
  void Open(const CommitLimits& limits);
  std::optional<std::string> Get(const Partition& partition, const std::string& key);

  testing::TempDir dir_;
  int opened_ = 0;
  std::unique_ptr<Engine> engine_;
  const Partition hub_ = {1, std::string(16, 'h')};
  const Partition other_ = {1, std::string(16, 'o')};
};

}  // namespace cmkstore::store
