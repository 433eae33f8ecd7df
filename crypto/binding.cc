#include "crypto/binding.h"

namespace cmkstore::crypto {
namespace {

absl::string_view Label(RowKind kind) {
  switch (kind) {
    case RowKind::kDocument: return "cmkstore/document/v1";
    case RowKind::kTombstone: return "cmkstore/tombstone/v1";
    case RowKind::kResponse: return "cmkstore/response/v1";
    case RowKind::kProject: return "cmkstore/project/v1";
    case RowKind::kHub: return "cmkstore/hub/v1";
    case RowKind::kHubSecrets: return "cmkstore/hub-secrets/v1";
    case RowKind::kAudit: return "cmkstore/audit/v1";
  }
  return "cmkstore/unknown";
}

void AppendField(absl::string_view field, std::string& out) {
  const auto size = static_cast<uint32_t>(field.size());
  for (int shift = 24; shift >= 0; shift -= 8) out.push_back(static_cast<char>(size >> shift));
  out.append(field.data(), field.size());
}

}  // namespace

std::string Binding::AssociatedData(absl::string_view envelope_header) const {
  const absl::string_view label = Label(kind);
  std::string data;
  data.reserve(label.size() + 1 + envelope_header.size() + 5 * sizeof(uint32_t) + tenant.size() +
               HubUid::kBytes + project.size() + collection.size() + document.size());
  data.append(label.data(), label.size());
  data.push_back('\0');
  data.append(envelope_header.data(), envelope_header.size());
  AppendField(tenant, data);
  AppendField(hub.bytes(), data);
  AppendField(project, data);
  AppendField(collection, data);
  AppendField(document, data);
  return data;
}

}  // namespace cmkstore::crypto
