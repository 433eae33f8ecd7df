#pragma once

#include <cstdint>
#include <string>

namespace cmkstore {

// This process, as the operating system sees it.
struct ProcessStats {
  double cpu_seconds = 0;
  uint64_t resident_bytes = 0;
  uint64_t open_descriptors = 0;
  uint64_t max_descriptors = 0;
  uint64_t threads = 0;
};
ProcessStats ReadProcessStats();

// Bytes that may still be written to the file system of `path`; 0 when it cannot be asked.
uint64_t FreeDiskBytes(const std::string& path);
// What it holds when it is empty; 0 when it cannot be asked.
uint64_t DiskSizeBytes(const std::string& path);

}  // namespace cmkstore
