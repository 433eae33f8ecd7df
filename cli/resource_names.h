#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace cmkstore::cli {

// How many parts a short name has: HUB, HUB/PROJECT, HUB/PROJECT/COLLECTION,
// HUB/PROJECT/COLLECTION/ID.
enum class Depth { kHub = 1, kProject = 2, kCollection = 3, kDocument = 4 };

// The resource name of a short or full name of `least` to `most` parts; a full name begins with
// "tenants/". Errors: FIELD_INVALID saying which form is expected; STATE_INVALID when a short name
// needs a tenant and there is none.
absl::StatusOr<std::string> FullName(const std::string& tenant, const std::string& name,
                                     Depth least, Depth most);
inline absl::StatusOr<std::string> FullName(const std::string& tenant, const std::string& name,
                                            Depth depth) {
  return FullName(tenant, name, depth, depth);
}
// HUB/OPERATION, or a full name; of the server itself: server/operations/OPERATION.
absl::StatusOr<std::string> OperationName(const std::string& tenant, const std::string& name);
// "tenants/TENANT". Errors: STATE_INVALID.
absl::StatusOr<std::string> TenantName(const std::string& tenant);

// The short form of a resource name of the API, for tables; what has no short form stays as it is.
std::string ShortName(absl::string_view full);
// The last part of a name.
std::string LastPart(absl::string_view name);

}  // namespace cmkstore::cli
