#include "service/document_codec.h"

#include <utility>

#include "absl/strings/escaping.h"
#include "base/errors.h"
#include "service/timestamps.h"

namespace cmkstore::service {
namespace {

constexpr size_t kRevisionOffset = 24;
constexpr size_t kEtagBytes = 16;  // revision, then 8 bytes of the nonce

}  // namespace

std::string EtagOf(const crypto::SealedDocument& sealed) {
  const absl::string_view identity = sealed.identity();
  return absl::WebSafeBase64Escape(identity.substr(kRevisionOffset, kEtagBytes));
}

crypto::Binding BindingOf(const HubEntry& hub, crypto::RowKind kind,
                          const store::DocumentKey& key) {
  crypto::Binding binding;
  binding.kind = kind;
  binding.tenant = hub.record.tenant();
  binding.hub = hub.uid;
  binding.project = std::string(key.project.bytes());
  binding.collection = std::string(key.collection.bytes());
  binding.document = std::string(key.document.bytes());
  return binding;
}

store::DocumentKey KeyOf(const DocumentName& name, ProjectUid project,
                         const crypto::NameKey& names) {
  const auto [collection, document] =
      names.Names(project, name.collection.value(), name.document.value());
  return {project, collection, document};
}

absl::Status CheckView(v1::DocumentView view) {
  if (v1::DocumentView_IsValid(view)) return absl::OkStatus();
  return FieldInvalid("view", "must be BASIC or FULL, or left out");
}

absl::StatusOr<storage::v1::DocumentBody> ParseBody(absl::string_view plaintext) {
  storage::v1::DocumentBody body;
  if (!body.ParseFromArray(plaintext.data(), static_cast<int>(plaintext.size()))) {
    return DocumentCorrupt();
  }
  return body;
}

std::string SerializeBody(const storage::v1::DocumentBody& body) {
  return body.SerializeAsString();
}

v1::Document ToDocument(std::string name, const crypto::SealedDocument& sealed,
                        storage::v1::DocumentBody body, v1::DocumentView view) {
  v1::Document document;
  document.set_name(std::move(name));
  if (view != v1::BASIC) document.set_content(std::move(*body.mutable_content()));
  document.set_content_type(std::move(*body.mutable_content_type()));
  document.mutable_labels()->swap(*body.mutable_labels());
  *document.mutable_create_time() = ToTimestamp(body.create_time_micros());
  *document.mutable_update_time() = ToTimestamp(body.update_time_micros());
  document.set_revision(sealed.revision());
  document.set_etag(EtagOf(sealed));
  document.mutable_envelope()->set_dek_id(sealed.dek_id().ToHex());
  document.mutable_envelope()->set_format("v1 KC-XAES-256-GCM");
  return document;
}

}  // namespace cmkstore::service
