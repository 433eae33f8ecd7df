#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>

#include "absl/strings/string_view.h"

namespace cmkstore::service {

// What one tenant may do and hold; 0: as much as it likes.
struct QuotaLimits {
  uint32_t requests_per_second = 0;
  uint32_t burst = 0;         // calls at once after a quiet time; 0: as many as in a second
  uint64_t documents = 0;     // in all its hubs together
  uint64_t stored_bytes = 0;  // of their sealed rows
};

// The limits of all tenants. A value.
struct QuotaOptions {
  QuotaLimits of_each;
  std::map<std::string, QuotaLimits, std::less<>> of_some;  // by tenant, in place of `of_each`

  const QuotaLimits& Of(absl::string_view tenant) const {
    const auto found = of_some.find(std::string_view(tenant.data(), tenant.size()));
    return found == of_some.end() ? of_each : found->second;
  }
};

}  // namespace cmkstore::service
