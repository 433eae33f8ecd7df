#include "store/memory/memory_engine.h"

#include "tests/store/engine_contract.h"

namespace cmkstore::store {
namespace {

INSTANTIATE_TEST_SUITE_P(Memory, EngineContractTest,
                         ::testing::Values(EngineKind{
                             "memory", [](const std::string&, const CommitLimits& limits) {
                               return std::make_unique<MemoryEngine>(2, limits);
                             }}));

}  // namespace
}  // namespace cmkstore::store
