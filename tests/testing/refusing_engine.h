#pragma once

#include <utility>

#include "base/errors.h"
#include "tests/testing/forwarding_engine.h"

namespace cmkstore::testing {

// Refuses commits while a test says so.
class RefusingEngine final : public ForwardingEngine {
 public:
  void Apply(const store::Partition& partition, store::WriteSet writes, Done done) override {
    if (refuse) {
      done(StoreBusy());
    } else {
      ForwardingEngine::Apply(partition, std::move(writes), std::move(done));
    }
  }

  bool refuse = false;
};

}  // namespace cmkstore::testing
