#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace cmkstore::service {

// A parsed YAML text, with the place of everything in it.
struct YamlNode {
  enum class Kind { kNull, kScalar, kSequence, kMap };
  Kind kind = Kind::kNull;
  int line = 1;
  int column = 1;
  std::string text;             // of a scalar
  std::vector<YamlNode> keys;   // of a map: scalars, no two alike, one for each of `items`
  std::vector<YamlNode> items;  // of a sequence or map
};

// Parses one YAML document of plain data: no tags, anchors or aliases, at most 256 KiB, 10,000
// nodes and 16 levels, so that no file can make it take long or much.
//
// Errors: CONFIG_INVALID, its message beginning with LINE:COLUMN.
absl::StatusOr<YamlNode> ParseYaml(absl::string_view text);

}  // namespace cmkstore::service
