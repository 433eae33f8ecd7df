#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"

namespace cmkstore::service {

// Who calls, as its token says. Immutable.
struct Caller {
  std::string subject;  // `oid`, else `sub`
  std::string tenant;   // `tid`
  std::vector<std::string> roles;
  absl::Time expires;
};

using CallerPtr = std::shared_ptr<const Caller>;

}  // namespace cmkstore::service
