#include "service/resource_name.h"

#include <array>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/errors.h"
#include "base/status_macros.h"

namespace cmkstore::service {
namespace {

constexpr absl::string_view kTenantPattern = "tenants/{tenant}";
constexpr absl::string_view kHubPattern = "tenants/{tenant}/hubs/{hub}";
constexpr absl::string_view kProjectPattern = "tenants/{tenant}/hubs/{hub}/projects/{project}";
constexpr absl::string_view kCollectionPattern =
    "tenants/{tenant}/hubs/{hub}/projects/{project}/collections/{collection}";
constexpr absl::string_view kDocumentPattern =
    "tenants/{tenant}/hubs/{hub}/projects/{project}/collections/{collection}/documents/{document}";
constexpr absl::string_view kOperationPattern =
    "tenants/{tenant}/hubs/{hub}/operations/{operation}";

// Takes the values of a name that alternates the literals of `pattern` with ids. Valid ids only.
template <size_t kValues>
absl::StatusOr<std::array<absl::string_view, kValues>> Split(absl::string_view field,
                                                             absl::string_view name,
                                                             absl::string_view pattern,
                                                             bool allow_dash = false) {
  const auto refuse = [field, form = pattern] {
    return FieldInvalid(field, absl::StrCat("must be of the form ", form,
                                            " with ids of 1 to 128 characters of A-Z a-z 0-9 . _ ~ "
                                            "- that begin with a letter or digit"));
  };
  std::array<absl::string_view, kValues> values;
  absl::string_view rest = name;
  for (size_t i = 0; i < kValues; ++i) {
    const size_t slash = pattern.find('/');
    const absl::string_view literal = pattern.substr(0, slash + 1);
    pattern.remove_prefix(pattern.find('}') + 1);
    absl::ConsumePrefix(&pattern, "/");
    if (!absl::ConsumePrefix(&rest, literal)) return refuse();
    const size_t end = rest.find('/');
    const bool last = i + 1 == kValues;
    if (last != (end == absl::string_view::npos)) return refuse();
    values[i] = rest.substr(0, end);
    if (!IsValidId(values[i]) && !(last && allow_dash && values[i] == "-")) return refuse();
    if (!last) rest.remove_prefix(end + 1);
  }
  return values;
}

}  // namespace

absl::StatusOr<TenantName> TenantName::Parse(absl::string_view field, absl::string_view name) {
  CMK_ASSIGN_OR_RETURN(const auto values, Split<1>(field, name, kTenantPattern));
  return TenantName{*TenantId::Parse(values[0])};
}

absl::StatusOr<HubName> HubName::Parse(absl::string_view field, absl::string_view name) {
  CMK_ASSIGN_OR_RETURN(const auto values, Split<2>(field, name, kHubPattern));
  return HubName{*TenantId::Parse(values[0]), *HubId::Parse(values[1])};
}

absl::StatusOr<HubName> HubName::ParseSingleton(absl::string_view field, absl::string_view name,
                                                absl::string_view singleton) {
  if (!absl::ConsumeSuffix(&name, absl::StrCat("/", singleton))) {
    return FieldInvalid(field, absl::StrCat("must be of the form ", kHubPattern, "/", singleton));
  }
  return Parse(field, name);
}

std::string HubName::ToString() const {
  return absl::StrCat("tenants/", tenant.value(), "/hubs/", hub.value());
}

absl::StatusOr<ProjectName> ProjectName::Parse(absl::string_view field, absl::string_view name) {
  CMK_ASSIGN_OR_RETURN(const auto values, Split<3>(field, name, kProjectPattern));
  return ProjectName{{*TenantId::Parse(values[0]), *HubId::Parse(values[1])},
                     *ProjectId::Parse(values[2])};
}

std::string ProjectName::ToString() const {
  return absl::StrCat(hub.ToString(), "/projects/", project.value());
}

absl::StatusOr<CollectionName> CollectionName::Parse(absl::string_view field,
                                                     absl::string_view name, bool allow_all) {
  CMK_ASSIGN_OR_RETURN(const auto values, Split<4>(field, name, kCollectionPattern, allow_all));
  CollectionName collection{
      {{*TenantId::Parse(values[0]), *HubId::Parse(values[1])}, *ProjectId::Parse(values[2])},
      std::nullopt};
  if (values[3] != "-") collection.collection = *CollectionId::Parse(values[3]);
  return collection;
}

absl::StatusOr<DocumentName> DocumentName::Parse(absl::string_view field, absl::string_view name) {
  CMK_ASSIGN_OR_RETURN(const auto values, Split<5>(field, name, kDocumentPattern));
  return DocumentName{
      {{*TenantId::Parse(values[0]), *HubId::Parse(values[1])}, *ProjectId::Parse(values[2])},
      *CollectionId::Parse(values[3]),
      *DocumentId::Parse(values[4])};
}

std::string DocumentName::ToString() const {
  return absl::StrCat(project.ToString(), "/collections/", collection.value(), "/documents/",
                      document.value());
}

absl::StatusOr<OperationName> OperationName::Parse(absl::string_view field,
                                                   absl::string_view name) {
  CMK_ASSIGN_OR_RETURN(const auto values, Split<3>(field, name, kOperationPattern));
  return OperationName{{*TenantId::Parse(values[0]), *HubId::Parse(values[1])},
                       std::string(values[2])};
}

std::string OperationName::ToString() const {
  return absl::StrCat(hub.ToString(), "/operations/", operation);
}

}  // namespace cmkstore::service
