#pragma once

#include <cstdio>
#include <string>
#include <vector>

namespace cmkstore::cli {

// A table for people: columns as wide as their widest cell, two spaces apart.
//
// Cells are made printable. After kBlock rows what is there is printed, so that a list without end
// needs bounded memory; later rows keep the widths and push them only where they must. Prints the
// rest when destroyed, and the heads even without rows.
class Table {
 public:
  static constexpr size_t kBlock = 1000;

  // Without heads it is a list of fields. `out` must outlive this.
  explicit Table(std::vector<std::string> heads = {}, FILE* out = stdout);
  ~Table();
  Table(const Table&) = delete;
  Table& operator=(const Table&) = delete;

  // As many cells as heads.
  void Add(std::vector<std::string> cells);
  // Prints what has been added so far; for streams.
  void Flush();

 private:
  void PrintRow(const std::vector<std::string>& cells) const;

  FILE* const out_;
  std::vector<std::vector<std::string>> rows_;
  std::vector<size_t> widths_;
};

}  // namespace cmkstore::cli
