#pragma once

#include <string>

#include "absl/strings/string_view.h"
#include "cmkstore/v1/encryption_coverage.pb.h"

namespace cmkstore::cli {

// How a report says things, on the page and on the terminal.

// The sections of a report, by what they hold.
enum class CoverageSection { kUnderTheKey, kReadable, kNothingOfTheCustomer };
inline CoverageSection SectionOf(const v1::CoverageEntry& entry) {
  switch (entry.protection()) {
    case v1::CoverageEntry::SEALED:
    case v1::CoverageEntry::WRAPPED:
    case v1::CoverageEntry::BLINDED: return CoverageSection::kUnderTheKey;
    case v1::CoverageEntry::NOTHING_OF_THE_CUSTOMER: return CoverageSection::kNothingOfTheCustomer;
    default: return CoverageSection::kReadable;  // what is not known to be protected is not
  }
}

inline absl::string_view ProtectionText(const v1::CoverageEntry& entry) {
  switch (entry.protection()) {
    case v1::CoverageEntry::SEALED: return "sealed";
    case v1::CoverageEntry::WRAPPED: return "wrapped";
    case v1::CoverageEntry::BLINDED: return "blinded";
    default: return "";
  }
}

// The one sentence that a reader should take away.
std::string CoverageStatement(const v1::EncryptionCoverage& coverage);

}  // namespace cmkstore::cli
