#pragma once

#include <span>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace cmkstore::service {

// What stands between a reader of the disk and the meaning of some bytes.
enum class Protection { kSealed, kWrapped, kBlinded, kReadable, kNothingOfTheCustomer };

// Which key of a hub protects them. The vault key wraps the DEK, which seals the other two.
enum class CoverageKeyKind { kNone, kVaultKey, kDek, kNameKey, kIndexKey, kAsCopied };

// One class of bytes that the service persists, or makes others persist.
struct CoverageClass {
  absl::string_view id;
  absl::string_view what;
  absl::string_view where;
  Protection protection;
  CoverageKeyKind key;
  absl::string_view algorithm;  // empty: none
  // Where a program finds them: tags of the store's tables in hexadecimal, and files by glob under
  // the data directory, each separated by spaces.
  absl::string_view tables;
  absl::string_view files;
};

// What a hub's key does not reach because this service does not store it.
struct OutsideResource {
  absl::string_view resource;
  absl::string_view holds;
  absl::string_view key;
  absl::string_view remedy;
};

// The one table of what is covered; the API's answer, docs/coverage.md and the tests are made of
// it. Whoever persists something new adds a row, else a test fails.
std::span<const CoverageClass> CoverageClasses();
std::span<const OutsideResource> OutsideResources();

// The ids of the classes that a file may hold, by its path under the data directory; empty when the
// table does not know it.
std::vector<absl::string_view> ClassesOfFile(std::string path);

// "the hub's data key (DEK)"; empty for kNone.
absl::string_view KeyText(CoverageKeyKind key);

// The page docs/coverage.md.
std::string CoverageReference();

}  // namespace cmkstore::service
