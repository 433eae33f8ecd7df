#include "base/build_info.h"

namespace cmkstore {

absl::string_view BuildRevision() { return CMKSTORE_REVISION; }

absl::string_view BuildType() { return CMKSTORE_BUILD_TYPE; }

}  // namespace cmkstore
