#pragma once

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "cmkstore/v1/document_service.pb.h"

namespace cmkstore::bench {

inline constexpr size_t kContentBytes = 1024;
inline constexpr uint64_t kCollections = 20;

// The documents of the benchmark, each made from its number alone, so that every answer can be
// checked: 1,024 bytes of JSON with words whose frequencies fall as in a language.
//
// Every document holds the word "common", each tenth "tenth", each thousandth "thousandth", and
// each one of its own: "only" and its number.
std::string ContentOf(uint64_t number);
// `project`: its resource name.
std::string NameOf(absl::string_view project, uint64_t number);
std::string CollectionOf(absl::string_view project, uint64_t number);
// The number in a name that NameOf made.
uint64_t NumberOf(absl::string_view name);
// Everything that a caller stores of a document.
cmkstore::v1::Document DocumentOf(absl::string_view project, uint64_t number);
// Bytes of it: ids, content type, labels and content.
size_t CallerBytes(const cmkstore::v1::Document& document);

}  // namespace cmkstore::bench
