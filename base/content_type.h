#pragma once

#include "absl/strings/string_view.h"

// What a document's content type says of its bytes. Types are compared without their parameters and
// whatever the case of their letters (RFC 9110 8.3.1).

namespace cmkstore {

// application/json, text/json, and all types whose structured syntax suffix is +json (RFC 6839).
bool IsJsonType(absl::string_view content_type);

// text/…, and the application types in use for texts: XML, YAML, SQL, JavaScript, lines of JSON,
// TOML, GraphQL, and +xml and +yaml. JSON is none of them.
bool IsTextType(absl::string_view content_type);

}  // namespace cmkstore
