#pragma once

#include <utility>

#include "base/errors.h"
#include "service/awaiters.h"
#include "store/engine.h"

namespace cmkstore::service {

// Engine::Apply for a thread that may block. Errors: those of Apply.
inline absl::StatusOr<store::Sequence> ApplyBlocking(store::Engine& engine,
                                                     const store::Partition& partition,
                                                     store::WriteSet writes) {
  return BlockOnCompletion<store::Sequence>([&](Completion<store::Sequence> done) {
    engine.Apply(partition, std::move(writes), std::move(done));
  });
}

// Whether the store, asked again, may take what it has refused: a full or busy disk passes.
inline bool IsRefusedForNow(const absl::Status& status) {
  return HasReason(status, "STORE_FULL") || HasReason(status, "STORE_BUSY");
}

}  // namespace cmkstore::service
