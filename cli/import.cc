#include "cli/import.h"

#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/errors.h"
#include "base/ids.h"
#include "base/status_macros.h"
#include "cli/failure.h"
#include "cmkstore/v1/document_service.grpc.pb.h"

namespace cmkstore::cli {
namespace {

using nlohmann::json;

constexpr int kMaxBatchItems = 200;
constexpr size_t kMaxBatchBytes = 4u << 20;
constexpr int kMaxTries = 10;

class Progress {
 public:
  explicit Progress(uintmax_t total_bytes) : total_(total_bytes), shown_(isatty(2) != 0) {}
  void Show(uintmax_t bytes, size_t documents) {
    if (!shown_ || total_ == 0) return;
    const double seconds = std::max(0.001, absl::ToDoubleSeconds(absl::Now() - began_));
    const double part = static_cast<double>(bytes) / static_cast<double>(total_);
    const double left = part > 0 ? seconds * (1 - part) / part : 0;
    const int filled = static_cast<int>(part * 30);
    std::fprintf(stderr, "\r[%-30s] %3.0f %%  %zu documents  %.0f/s  %.0f s left ",
                 std::string(static_cast<size_t>(filled), '#').c_str(), part * 100, documents,
                 static_cast<double>(documents) / seconds, left);
  }
  void End() {
    if (shown_) std::fprintf(stderr, "\n");
  }
  double seconds() const { return absl::ToDoubleSeconds(absl::Now() - began_); }

 private:
  const uintmax_t total_;
  const bool shown_;
  const absl::Time began_ = absl::Now();
};

grpc::Status Store(v1::DocumentService::Stub& documents, const Connection& connection,
                   const v1::BatchWriteDocumentsRequest& batch) {
  for (int tries = 1;; ++tries) {
    v1::BatchWriteDocumentsResponse response;
    const grpc::Status status =
        documents.BatchWriteDocuments(connection.NewCall().get(), batch, &response);
    if (status.error_code() != grpc::StatusCode::UNAVAILABLE || tries == kMaxTries) return status;
    absl::SleepFor(absl::Milliseconds(100) * tries);
  }
}

}  // namespace

absl::StatusOr<v1::Document> ParseImportLine(absl::string_view project_name,
                                             absl::string_view line) {
  const json object = json::parse(line.begin(), line.end(), nullptr, false);
  if (!object.is_object()) return FieldInvalid("line", "is no JSON object");
  const auto text = [&object](const char* field) {
    const auto found = object.find(field);
    return found != object.end() && found->is_string() ? found->get<std::string>() : "";
  };
  CMK_RETURN_IF_ERROR(CheckId("collection", text("collection")));
  CMK_RETURN_IF_ERROR(CheckId("id", text("id")));
  v1::Document document;
  document.set_name(absl::StrCat(project_name, "/collections/", text("collection"), "/documents/",
                                 text("id")));
  if (const auto content = object.find("content"); content != object.end()) {
    document.set_content(content->is_string() ? content->get<std::string>() : content->dump());
    if (content->is_string()) document.set_content_type("text/plain");
  }
  if (const auto labels = object.find("labels"); labels != object.end()) {
    if (!labels->is_object()) return FieldInvalid("labels", "must be an object");
    for (const auto& [key, value] : labels->items()) {
      if (!value.is_string()) return FieldInvalid("labels", "values must be strings");
      (*document.mutable_labels())[key] = value.get<std::string>();
    }
  }
  return document;
}

int Import(const Connection& connection, const std::string& hub_name, const std::string& project,
           const std::string& file) {
  std::ifstream input(file, std::ios::binary | std::ios::ate);
  if (!input) {
    std::fprintf(stderr, "cmkctl: cannot read %s\n", file.c_str());
    return kUsage;
  }
  Progress progress(static_cast<uintmax_t>(input.tellg()));
  input.seekg(0);
  const auto documents = v1::DocumentService::NewStub(connection.channel());
  const std::string project_name = absl::StrCat(hub_name, "/projects/", project);
  v1::BatchWriteDocumentsRequest batch;
  batch.set_parent(hub_name);
  size_t batch_bytes = 0, stored = 0, bad = 0, number = 0;
  uintmax_t read = 0;
  grpc::Status status;
  const auto flush = [&] {
    if (batch.writes().empty() || !status.ok()) return;
    status = Store(*documents, connection, batch);
    if (status.ok()) stored += static_cast<size_t>(batch.writes_size());
    batch.clear_writes();
    batch_bytes = 0;
    progress.Show(read, stored);
  };
  for (std::string line; status.ok() && std::getline(input, line);) {
    ++number;
    read += line.size() + 1;
    if (line.empty()) continue;
    absl::StatusOr<v1::Document> document = ParseImportLine(project_name, line);
    if (!document.ok()) {
      ++bad;
      std::fprintf(stderr, "%s:%zu: %s\n", file.c_str(), number,
                   std::string(document.status().message()).c_str());
      continue;
    }
    if (batch.writes_size() == kMaxBatchItems || batch_bytes + line.size() > kMaxBatchBytes) flush();
    batch_bytes += line.size();
    *batch.add_writes()->mutable_upsert() = *std::move(document);
  }
  flush();
  progress.End();
  std::fprintf(stderr, "%zu documents stored, %zu bad lines, %.1f s\n", stored, bad,
               progress.seconds());
  if (!status.ok()) return Report(status);
  return bad == 0 ? kOk : kInvalidInput;
}

}  // namespace cmkstore::cli
