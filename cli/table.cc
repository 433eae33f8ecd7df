#include "cli/table.h"

#include <algorithm>
#include <utility>

#include "cli/output.h"
#include "cli/printable.h"

namespace cmkstore::cli {

Table::Table(std::vector<std::string> heads, FILE* out) : out_(out) {
  if (!heads.empty()) Add(std::move(heads));
}

Table::~Table() { Flush(); }

void Table::Add(std::vector<std::string> cells) {
  if (widths_.size() < cells.size()) widths_.resize(cells.size());
  for (size_t i = 0; i < cells.size(); ++i) {
    cells[i] = Printable(cells[i]);
    widths_[i] = std::max(widths_[i], ColumnsOf(cells[i]));
  }
  rows_.push_back(std::move(cells));
  if (rows_.size() >= kBlock) Flush();
}

void Table::Flush() {
  for (const std::vector<std::string>& row : rows_) PrintRow(row);
  rows_.clear();
  if (out_ == stdout) FlushOutput();
}

void Table::PrintRow(const std::vector<std::string>& cells) const {
  std::string line;
  size_t padding = 0;
  for (size_t i = 0; i < cells.size(); ++i) {
    if (cells[i].empty()) {
      padding += widths_[i] + 2;
      continue;
    }
    line.append(padding, ' ');
    line += cells[i];
    padding = widths_[i] - ColumnsOf(cells[i]) + 2;
  }
  std::fprintf(out_, "%s\n", line.c_str());
}

}  // namespace cmkstore::cli
