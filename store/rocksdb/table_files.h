#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace cmkstore::store {

class Shard;

// Told of the bytes that were just read, and may wait, so that reading keeps to a rate. An error
// ends the work with it.
using PaceFunction = std::function<absl::Status(uint64_t bytes)>;

// A table file as the manifest of its shard has it.
struct TableFile {
  uint32_t shard = 0;
  std::string path;
  std::string checksum;  // taken when the file was written
  std::string checksum_function;
};

enum class TableFileState { kAsWritten, kDamaged, kMissing };

// Reads the file from the disk and compares it with its checksum. Adds what was read to `bytes`.
// Errors: STORE_BUSY (it cannot be opened now), that of `pace`.
absl::StatusOr<TableFileState> CompareTableFile(const TableFile& file, const PaceFunction& pace,
                                                uint64_t& bytes);

// Of a file that is not as it was written: "the checksum of shard-2/000123.sst does not match",
// "shard-2/000123.sst is missing".
std::string WhatIsWrong(const TableFile& file, TableFileState state);

struct DamagedTableFile {
  uint32_t shard = 0;
  std::string what;  // WhatIsWrong
};

// Told of each damaged file as soon as it is found: a look at all may take days.
using DamageFunction = std::function<void(const DamagedTableFile&)>;

// What a look at table files has read.
struct FileCheck {
  uint64_t files = 0;
  uint64_t bytes = 0;
};

// The table files of a shard, as it is now. Errors: STORE_BUSY.
absl::StatusOr<std::vector<TableFile>> ListTableFiles(uint32_t number, const Shard& shard);

// Reads every table file of the shard and compares it with the checksum that was taken when it was
// written. Finds what no read has touched yet. A file that a compaction removes meanwhile counts as
// good. Errors: STORE_BUSY, that of `pace`.
absl::Status VerifyTableFiles(uint32_t number, const Shard& shard, const PaceFunction& pace,
                              const DamageFunction& damaged, FileCheck& check);

}  // namespace cmkstore::store
