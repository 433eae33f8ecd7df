#include <algorithm>
#include <cstdio>
#include <memory>
#include <optional>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "base/errors.h"
#include "cli/commands.h"
#include "cli/document_line.h"
#include "cli/document_lists.h"
#include "cli/list_printer.h"
#include "cli/output.h"
#include "cli/output_file.h"
#include "cli/printable.h"
#include "cli/resource_names.h"
#include "cli/table.h"
#include "cmkstore/v1/document_service.grpc.pb.h"

namespace cmkstore::cli {
namespace {

struct DocumentFlags {
  std::string name, file = "-", output, content_type, etag;
  std::vector<std::string> labels;
  bool missing_ok = false, clear_labels = false;
};

using File = std::unique_ptr<FILE, int (*)(FILE*)>;

// All of the file, or one byte more than a document may have. Nothing if it cannot be read.
std::optional<std::string> ReadContent(const std::string& file) {
  const File input(file == "-" ? stdin : std::fopen(file.c_str(), "rb"), std::fclose);
  if (input == nullptr) return std::nullopt;
  std::string content(kMaxContentBytes + 1, '\0');
  content.resize(std::fread(content.data(), 1, content.size(), input.get()));
  if (std::ferror(input.get()) != 0) return std::nullopt;
  return content;
}

int Put(const Invocation& invocation, const Connection& connection, const DocumentFlags& flags) {
  const auto name = FullName(connection.tenant(), flags.name, Depth::kDocument);
  if (!name.ok()) return ReportUsage(name.status(), invocation.style());
  v1::UpdateDocumentRequest request;
  request.set_allow_missing(flags.etag.empty());
  v1::Document& document = *request.mutable_document();
  document.set_name(*name);
  // A new version of the content is no word about its type and the labels.
  request.mutable_update_mask()->add_paths("content");
  if (!flags.content_type.empty()) request.mutable_update_mask()->add_paths("content_type");
  if (flags.clear_labels || !flags.labels.empty())
    request.mutable_update_mask()->add_paths("labels");
  document.set_content_type(flags.content_type);
  document.set_etag(flags.etag);
  for (const std::string& label : flags.labels) {
    const std::vector<std::string> parts = absl::StrSplit(label, absl::MaxSplits('=', 1));
    if (parts.size() != 2) {
      return ReportUsage(StateInvalid(absl::StrCat("--label ", label, " must be KEY=VALUE")),
                         invocation.style());
    }
    if (!document.mutable_labels()->try_emplace(parts[0], parts[1]).second) {
      return ReportUsage(StateInvalid(absl::StrCat("--label ", parts[0], " is given twice")),
                         invocation.style());
    }
  }
  const std::string input = flags.file == "-" ? "standard input" : flags.file;
  auto content = ReadContent(flags.file);
  if (!content.has_value()) {
    return ReportUsage(StateInvalid(absl::StrCat("cannot read ", input)), invocation.style());
  }
  if (content->size() > kMaxContentBytes) {
    return ReportInput(
        FieldInvalid("document.content", absl::StrCat("must be at most ", kMaxContentBytes,
                                                      " bytes, and ", input, " has more")),
        invocation.style());
  }
  document.set_content(*std::move(content));
  v1::Document stored;
  const auto stub = v1::DocumentService::NewStub(connection.channel());
  const grpc::Status status = stub->UpdateDocument(connection.NewCall().get(), request, &stored);
  if (status.ok() && invocation.json) PrintJson(stored);
  if (status.ok() && !invocation.json) {
    Table table;
    table.Add({ShortName(stored.name()), absl::StrCat("revision ", stored.revision()),
               absl::StrCat("etag ", stored.etag())});
  }
  return Report(status, invocation.style());
}

// Content goes out as it is, but not raw to a terminal, which it could drive.
void PrintContent(const std::string& content) {
  const std::string shown = StdoutIsTerminal() ? PrintableLines(content) : content;
  std::fwrite(shown.data(), 1, shown.size(), stdout);
  if (StdoutIsTerminal() && !shown.empty() && shown.back() != '\n') std::fputc('\n', stdout);
}

int Get(const Invocation& invocation, const Connection& connection, const DocumentFlags& flags) {
  const auto name = FullName(connection.tenant(), flags.name, Depth::kDocument);
  if (!name.ok()) return ReportUsage(name.status(), invocation.style());
  v1::GetDocumentRequest request;
  request.set_name(*name);
  v1::Document document;
  const auto stub = v1::DocumentService::NewStub(connection.channel());
  const grpc::Status status = stub->GetDocument(connection.NewCall().get(), request, &document);
  if (!status.ok()) return Report(status, invocation.style());
  if (invocation.json) {
    PrintJson(document);
  } else if (flags.output.empty()) {
    PrintContent(document.content());
  }
  if (flags.output.empty()) return kOk;
  return ReportUsage(WriteOutputFile(flags.output, document.content()), invocation.style());
}

int Remove(const Invocation& invocation, const Connection& connection, const DocumentFlags& flags) {
  const auto name = FullName(connection.tenant(), flags.name, Depth::kDocument);
  if (!name.ok()) return ReportUsage(name.status(), invocation.style());
  v1::DeleteDocumentRequest request;
  request.set_name(*name);
  request.set_etag(flags.etag);
  request.set_allow_missing(flags.missing_ok);
  v1::DeleteDocumentResponse response;
  const auto stub = v1::DocumentService::NewStub(connection.channel());
  const grpc::Status status = stub->DeleteDocument(connection.NewCall().get(), request, &response);
  if (status.ok() && invocation.json) PrintJson(response);
  return Report(status, invocation.style());
}

int List(const Invocation& invocation, const Connection& connection, const std::string& parent) {
  const auto full = FullName(connection.tenant(), parent, Depth::kHub, Depth::kCollection);
  if (!full.ok()) return ReportUsage(full.status(), invocation.style());
  ListPrinter<v1::Document> printer(
      invocation, {"DOCUMENT", "REVISION", "UPDATED", "LABELS"}, [](const v1::Document& document) {
        // By key: the map's own order changes from run to run.
        std::vector<std::string> labels;
        for (const auto& [key, value] : document.labels()) {
          labels.push_back(absl::StrCat(key, "=", value));
        }
        std::sort(labels.begin(), labels.end());
        return std::vector<std::string>{
            ShortName(document.name()), absl::StrCat(document.revision()),
            TimeText(document.update_time()), absl::StrJoin(labels, " ")};
      });
  Unreadable unreadable;
  const grpc::Status status = ForEachDocument(
      connection, *full, v1::BASIC,
      [&printer](const v1::Document& document) { printer.Add(document); }, unreadable);
  const int listed = printer.Finish(status);
  return listed == kOk ? Report(LeftOut(unreadable), invocation.style()) : listed;
}

}  // namespace

void AddDocumentCommands(CLI::App& app, Invocation& invocation) {
  const auto flags = std::make_shared<DocumentFlags>();
  const auto add = [&](const char* verb, const char* what, const char* examples) {
    CLI::App* command = app.add_subcommand(verb, what);
    command->footer(std::string("\nExamples:\n") + examples);
    command->add_option("NAME", flags->name, "HUB/PROJECT/COLLECTION/ID")->required();
    return command;
  };
  CLI::App* put = add("put", "Store a document from a file or standard input",
                      "  cmkctl put h1/retail/flows/f1 flow.json --label team=retail\n"
                      "  echo '{\"f1\": 0.97}' | cmkctl put h1/retail/evaluations/nightly\n"
                      "  cmkctl put h1/retail/notes/n1 note.md --content-type text/markdown\n"
                      "  cmkctl put h1/retail/flows/f1 flow.json --clear-labels\n"
                      "  cmkctl put h1/retail/flows/f1 flow.json --if-match \"$etag\"   "
                      "only if it has not changed");
  put->add_option("FILE", flags->file, "- is standard input")->capture_default_str();
  CLI::Option* label =
      put->add_option("--label", flags->labels,
                      "KEY=VALUE; repeatable, each key once: all that it has from now on. None: "
                      "those that it has")
          ->expected(1)
          ->take_all();
  put->add_flag("--clear-labels", flags->clear_labels, "Drop the labels that it has")
      ->excludes(label);
  put->add_option("--content-type", flags->content_type,
                  "Of the content. None: the one that it has, or application/json");
  put->add_option("--if-match", flags->etag, "Only if the document still has this etag");
  OnRun(put, invocation, [&invocation, flags](const Connection& connection) {
    return Put(invocation, connection, *flags);
  });
  CLI::App* get = add("get", "Print a document's content",
                      "  cmkctl get h1/retail/flows/f1 | jq .nodes\n"
                      "  cmkctl get h1/retail/flows/f1 --output flow.json\n"
                      "  cmkctl get h1/retail/flows/f1 --json     labels, revision, etag, content "
                      "in base64");
  get->add_option("--output,-o", flags->output, "Write the content to this file");
  OnRun(get, invocation, [&invocation, flags](const Connection& connection) {
    return Get(invocation, connection, *flags);
  });
  CLI::App* list = app.add_subcommand("ls", "List documents, without their content");
  list->footer(
      "\nExamples:\n"
      "  cmkctl ls h1                    all of the hub\n"
      "  cmkctl ls h1/retail             of a project\n"
      "  cmkctl ls h1/retail/flows       of a collection\n"
      "  cmkctl ls h1 --json | jq -r .name");
  list->add_option("PARENT", flags->name, "HUB, HUB/PROJECT or HUB/PROJECT/COLLECTION")->required();
  OnRun(list, invocation, [&invocation, flags](const Connection& connection) {
    return List(invocation, connection, flags->name);
  });
  CLI::App* remove = add("rm", "Delete a document for good",
                         "  cmkctl rm h1/retail/flows/f1\n"
                         "  cmkctl rm h1/retail/flows/f1 --missing-ok");
  remove->add_option("--if-match", flags->etag, "Only if the document still has this etag");
  remove->add_flag("--missing-ok", flags->missing_ok, "Succeed if there is none");
  OnRun(remove, invocation, [&invocation, flags](const Connection& connection) {
    return Remove(invocation, connection, *flags);
  });
}

}  // namespace cmkstore::cli
