#include "cli/export.h"

#include <cstdio>

#include "cli/document_line.h"
#include "cli/document_lists.h"
#include "cli/output.h"
#include "cli/output_file.h"

namespace cmkstore::cli {

int Export(const Invocation& invocation, const Connection& connection, const std::string& parent,
           const std::string& output) {
  std::unique_ptr<OutputFile> file;
  if (!output.empty()) {
    auto opened = OutputFile::Open(output);
    if (!opened.ok()) return ReportUsage(opened.status(), invocation.style());
    file = *std::move(opened);
  }
  uint64_t count = 0;
  Unreadable unreadable;
  const grpc::Status status = ForEachDocument(
      connection, parent, v1::FULL,
      [&](const v1::Document& document) {
        const std::string line = ToDocumentLine(document);
        file == nullptr ? PrintLine(line) : file->Write(line + "\n");
        ++count;
      },
      unreadable);
  if (!status.ok()) return Report(status, invocation.style());
  const absl::Status written = file == nullptr ? CheckOutput() : file->Keep();
  if (!written.ok()) return ReportUsage(written, invocation.style());
  std::fprintf(stderr, "%llu documents exported\n", static_cast<unsigned long long>(count));
  return Report(LeftOut(unreadable), invocation.style());
}

}  // namespace cmkstore::cli
