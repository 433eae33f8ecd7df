#include "cli/export.h"

#include <unistd.h>

#include <cstdio>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "base/errors.h"
#include "base/file.h"
#include "cli/document_line.h"
#include "cli/document_lists.h"
#include "cli/output.h"

namespace cmkstore::cli {
namespace {

// Whether all that was written to it is there, and stays there if the power goes.
bool CloseFile(FILE* file) {
  const bool written = std::fflush(file) == 0 && std::ferror(file) == 0 && fsync(fileno(file)) == 0;
  return std::fclose(file) == 0 && written;
}

}  // namespace

int Export(const Invocation& invocation, const Connection& connection, const std::string& parent,
           const std::string& output) {
  std::error_code ignored;
  if (std::filesystem::is_directory(output, ignored)) {
    return ReportUsage(StateInvalid(absl::StrCat("cannot write ", output, ": it is a directory")),
                       invocation.style());
  }
  const std::string partial = output + ".part";
  FILE* out = output.empty() ? stdout : std::fopen(partial.c_str(), "wb");
  if (out == nullptr) {
    return ReportUsage(StateInvalid(absl::StrCat("cannot write ", partial)), invocation.style());
  }
  uint64_t count = 0;
  Unreadable unreadable;
  const grpc::Status status = ForEachDocument(
      connection, parent, v1::FULL,
      [&](const v1::Document& document) {
        const std::string line = ToDocumentLine(document);
        std::fwrite(line.data(), 1, line.size(), out);
        std::fputc('\n', out);
        ++count;
      },
      unreadable);
  const bool written = output.empty() ? FlushOutput() : CloseFile(out);
  if (!status.ok() || !written) {
    if (!output.empty()) unlink(partial.c_str());
    if (!status.ok()) return Report(status, invocation.style());
    return ReportUsage(
        output.empty() ? CheckOutput() : StateInvalid(absl::StrCat("cannot write ", output)),
        invocation.style());
  }
  if (!output.empty() && !RenameDurably(partial, output)) {
    unlink(partial.c_str());
    return ReportUsage(StateInvalid(absl::StrCat("cannot write ", output)), invocation.style());
  }
  std::fprintf(stderr, "%llu documents exported\n", static_cast<unsigned long long>(count));
  return Report(LeftOut(unreadable), invocation.style());
}

}  // namespace cmkstore::cli
