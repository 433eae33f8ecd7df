#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "cmkstore/v1/document_service.pb.h"

namespace cmkstore::cli {

inline constexpr size_t kMaxContentBytes = 1 << 20;  // of a document

// A document as one line of JSON, as export writes and import reads it:
//
//   {"project":P, "collection":C, "id":I, "labels":{K:V,…}, "content_type":T, "content":…}
//
//   content           any JSON but a string: stored as exactly the text that stands in the line
//   (application/json)
//                     a string: stored as the characters in it (text/plain)
//   content_base64    instead of content: stored as these bytes (application/octet-stream)
//   content_type      in place of the default in parentheses
//   project           optional, see import --project; labels and content are optional too
//
// Other fields are ignored, but one that a slip of the keyboard would make of a field that the line
// lacks is refused: "lables", "Content".
struct DocumentLine {
  std::string project, collection, id;
  v1::Document document;  // without its name
};

// Errors: FIELD_INVALID saying what is wrong with the line.
absl::StatusOr<DocumentLine> ParseDocumentLine(absl::string_view line);

// Content, content type and labels come back from ParseDocumentLine byte by byte. Without a line
// feed.
std::string ToDocumentLine(const v1::Document& document);

}  // namespace cmkstore::cli
