#pragma once

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/ids.h"

namespace cmkstore::service {

// Resource names (AIP-122), parsed once at the door. Each Parse gives FIELD_INVALID naming `field`
// and the expected pattern. Names of documents are customer content from `collections/` on: never
// log them.

// tenants/{tenant}
struct TenantName {
  TenantId tenant;
  static absl::StatusOr<TenantName> Parse(absl::string_view field, absl::string_view name);
};

// tenants/{tenant}/hubs/{hub}
struct HubName {
  TenantId tenant;
  HubId hub;
  static absl::StatusOr<HubName> Parse(absl::string_view field, absl::string_view name);
  // The same with "/key" or "/searchIndex" behind.
  static absl::StatusOr<HubName> ParseSingleton(absl::string_view field, absl::string_view name,
                                                absl::string_view singleton);
  std::string ToString() const;
};

// tenants/{tenant}/hubs/{hub}/projects/{project}
struct ProjectName {
  HubName hub;
  ProjectId project;
  static absl::StatusOr<ProjectName> Parse(absl::string_view field, absl::string_view name);
  std::string ToString() const;
};

// …/projects/{project}/collections/{collection}; `-` for all collections where a list allows it.
struct CollectionName {
  ProjectName project;
  std::optional<CollectionId> collection;  // absent: all
  static absl::StatusOr<CollectionName> Parse(absl::string_view field, absl::string_view name,
                                              bool allow_all = false);
};

// …/collections/{collection}/documents/{document}
struct DocumentName {
  ProjectName project;
  CollectionId collection;
  DocumentId document;
  static absl::StatusOr<DocumentName> Parse(absl::string_view field, absl::string_view name);
  std::string ToString() const;
};

// tenants/{tenant}/hubs/{hub}/operations/{operation}
struct OperationName {
  HubName hub;
  std::string operation;
  static absl::StatusOr<OperationName> Parse(absl::string_view field, absl::string_view name);
  std::string ToString() const;
};

}  // namespace cmkstore::service
