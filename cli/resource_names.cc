#include "cli/resource_names.h"

#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/errors.h"
#include "base/ids.h"
#include "base/status_macros.h"

namespace cmkstore::cli {
namespace {

constexpr absl::string_view kForms[] = {"HUB", "HUB/PROJECT", "HUB/PROJECT/COLLECTION",
                                        "HUB/PROJECT/COLLECTION/ID"};
constexpr absl::string_view kServerOperations = "server/operations/";
constexpr absl::string_view kKinds[] = {"hubs", "projects", "collections", "documents"};

absl::Status Malformed(absl::string_view name, Depth least, Depth most) {
  std::string forms;
  for (int i = static_cast<int>(least); i <= static_cast<int>(most); ++i) {
    absl::StrAppend(&forms, forms.empty() ? "" : " or ", kForms[i - 1]);
  }
  return FieldInvalid(absl::StrCat("\"", name, "\""), absl::StrCat("must be ", forms));
}

enum class Operations { kRefused, kAllowed };

// The short parts of a full name; empty if it is none.
std::vector<std::string> PartsOf(absl::string_view full, Operations operations) {
  const std::vector<std::string> pieces = absl::StrSplit(full, '/');
  std::vector<std::string> parts;
  if (pieces.size() < 2 || pieces.size() % 2 != 0 || pieces[0] != "tenants") return parts;
  for (size_t i = 2; i < pieces.size(); i += 2) {
    const size_t level = i / 2 - 1;
    const bool operation =
        operations == Operations::kAllowed && level == 1 && pieces[i] == "operations";
    if (!operation && (level >= 4 || pieces[i] != kKinds[level])) return {};
    parts.push_back(pieces[i + 1]);
  }
  return parts;
}

}  // namespace

absl::StatusOr<std::string> TenantName(const std::string& tenant) {
  if (tenant.empty()) {
    return StateInvalid(
        "say which tenant: --tenant, CMKSTORE_TENANT, or `tenant` in the profile file");
  }
  return absl::StrCat("tenants/", tenant);
}

absl::StatusOr<std::string> FullName(const std::string& tenant, const std::string& name,
                                     Depth least, Depth most) {
  const bool full = absl::StartsWith(name, "tenants/");
  const std::vector<std::string> parts = full ? PartsOf(name, Operations::kRefused)
                                              : std::vector<std::string>(absl::StrSplit(name, '/'));
  if (parts.size() < static_cast<size_t>(least) || parts.size() > static_cast<size_t>(most)) {
    return Malformed(name, least, most);
  }
  for (const std::string& part : parts) {
    CMK_RETURN_IF_ERROR(CheckId(absl::StrCat("\"", part, "\" of the name"), part));
  }
  if (full) return name;
  CMK_ASSIGN_OR_RETURN(std::string result, TenantName(tenant));
  for (size_t i = 0; i < parts.size(); ++i) absl::StrAppend(&result, "/", kKinds[i], "/", parts[i]);
  return result;
}

absl::StatusOr<std::string> OperationName(const std::string& tenant, const std::string& name) {
  if (absl::StartsWith(name, kServerOperations)) return name;
  if (absl::StartsWith(name, "tenants/")) {
    const bool named = PartsOf(name, Operations::kAllowed).size() == 2;
    if (named && PartsOf(name, Operations::kRefused).empty()) return name;
  } else if (const std::vector<std::string> parts = absl::StrSplit(name, '/'); parts.size() == 2) {
    CMK_ASSIGN_OR_RETURN(const std::string hub, FullName(tenant, parts[0], Depth::kHub));
    return absl::StrCat(hub, "/operations/", parts[1]);
  }
  return FieldInvalid(absl::StrCat("\"", name, "\""),
                      "must be HUB/OPERATION or server/operations/OPERATION");
}

std::string ShortName(absl::string_view full) {
  std::string name;
  for (const std::string& part : PartsOf(full, Operations::kAllowed)) {
    absl::StrAppend(&name, name.empty() ? "" : "/", part);
  }
  return name.empty() ? std::string(full) : name;
}

std::string LastPart(absl::string_view name) {
  return std::string(name.substr(name.rfind('/') + 1));
}

}  // namespace cmkstore::cli
