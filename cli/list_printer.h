#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "cli/invocation.h"
#include "cli/output.h"
#include "cli/table.h"

namespace cmkstore::cli {

// Prints what a List method answers: a table for people, with its heads even when it is empty, or a
// line of JSON an item for programs. A call that is refused at once prints nothing.
template <typename Item>
class ListPrinter {
 public:
  using Cells = std::vector<std::string>;

  // `row` makes an item's cells, as many as heads. `invocation` must outlive this.
  ListPrinter(const Invocation& invocation, Cells heads, std::function<Cells(const Item&)> row)
      : invocation_(invocation), heads_(std::move(heads)), row_(std::move(row)) {}

  void Add(const Item& item) {
    if (invocation_.json) return PrintJson(item);
    Begin();
    table_->Add(row_(item));
  }
  // The items of a page.
  template <typename Items>
  void AddAll(const Items& items) {
    for (const Item& item : items) Add(item);
  }
  // Ends the list as its call ended; gives the exit code.
  int Finish(const grpc::Status& status) {
    if (status.ok() && !invocation_.json) Begin();
    table_.reset();
    return Report(status, invocation_.style());
  }

 private:
  void Begin() {
    if (table_ == nullptr) table_ = std::make_unique<Table>(heads_);
  }

  const Invocation& invocation_;
  const Cells heads_;
  const std::function<Cells(const Item&)> row_;
  std::unique_ptr<Table> table_;
};

}  // namespace cmkstore::cli
