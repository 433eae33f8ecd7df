#include <cstdio>
#include <fstream>
#include <iostream>
#include <iterator>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "cli/commands.h"
#include "cli/failure.h"
#include "cli/import.h"
#include "cmkstore/v1/document_service.grpc.pb.h"

namespace cmkstore::cli {
namespace {

struct DocumentFlags {
  std::string name, file = "-", content_type, if_match, project;
  std::vector<std::string> labels;
  bool from_now = false;
};

std::string ReadAll(const std::string& file, bool& ok) {
  if (file == "-") {
    return std::string(std::istreambuf_iterator<char>(std::cin), std::istreambuf_iterator<char>());
  }
  std::ifstream input(file, std::ios::binary);
  ok = static_cast<bool>(input);
  return std::string(std::istreambuf_iterator<char>(input), std::istreambuf_iterator<char>());
}

int Put(const ConnectionOptions& options, const DocumentFlags& flags) {
  v1::UpdateDocumentRequest request;
  request.set_allow_missing(flags.if_match.empty());
  v1::Document& document = *request.mutable_document();
  document.set_name(FullName(options, flags.name));
  document.set_content_type(flags.content_type);
  document.set_etag(flags.if_match);
  for (const std::string& label : flags.labels) {
    const std::pair<std::string, std::string> parts =
        absl::StrSplit(label, absl::MaxSplits('=', 1));
    (*document.mutable_labels())[parts.first] = parts.second;
  }
  bool ok = true;
  document.set_content(ReadAll(flags.file, ok));
  if (!ok) {
    std::fprintf(stderr, "cmkctl: cannot read %s\n", flags.file.c_str());
    return kUsage;
  }
  return WithConnection(options, [&](const Connection& connection) {
    v1::Document stored;
    const grpc::Status status = v1::DocumentService::NewStub(connection.channel())
                                    ->UpdateDocument(connection.NewCall().get(), request, &stored);
    if (status.ok() && options.json) PrintJson(stored);
    if (status.ok() && !options.json) {
      std::printf("revision %llu  etag %s\n", static_cast<unsigned long long>(stored.revision()),
                  stored.etag().c_str());
    }
    return Report(status);
  });
}

int Get(const ConnectionOptions& options, const std::string& name) {
  return WithConnection(options, [&](const Connection& connection) {
    v1::GetDocumentRequest request;
    request.set_name(FullName(options, name));
    v1::Document document;
    const grpc::Status status = v1::DocumentService::NewStub(connection.channel())
                                    ->GetDocument(connection.NewCall().get(), request, &document);
    if (status.ok() && options.json) PrintJson(document);
    if (status.ok() && !options.json) {
      std::fwrite(document.content().data(), 1, document.content().size(), stdout);
      if (!document.content().empty() && document.content().back() != '\n') std::puts("");
    }
    return Report(status);
  });
}

int Remove(const ConnectionOptions& options, const std::string& name) {
  return WithConnection(options, [&](const Connection& connection) {
    v1::DeleteDocumentRequest request;
    request.set_name(FullName(options, name));
    v1::DeleteDocumentResponse response;
    return Report(v1::DocumentService::NewStub(connection.channel())
                      ->DeleteDocument(connection.NewCall().get(), request, &response));
  });
}

// Calls `show` with every document below `parent`: HUB/PROJECT or HUB/PROJECT/COLLECTION.
int EachDocument(const ConnectionOptions& options, const std::string& parent,
                 v1::DocumentView view, const std::function<void(const v1::Document&)>& show) {
  return WithConnection(options, [&](const Connection& connection) {
    const auto stub = v1::DocumentService::NewStub(connection.channel());
    v1::ListDocumentsRequest request;
    request.set_parent(FullName(options, parent));
    if (request.parent().find("/collections/") == std::string::npos) {
      request.set_parent(request.parent() + "/collections/-");
    }
    request.set_page_size(500);
    request.set_view(view);
    grpc::Status status;
    do {
      v1::ListDocumentsResponse page;
      status = stub->ListDocuments(connection.NewCall().get(), request, &page);
      for (const v1::Document& document : page.documents()) show(document);
      request.set_page_token(page.next_page_token());
    } while (status.ok() && !request.page_token().empty());
    return Report(status);
  });
}

void PrintLine(const ConnectionOptions& options, const v1::Document& document) {
  if (options.json) return PrintJson(document);
  std::string labels;
  for (const auto& [key, value] : document.labels()) absl::StrAppend(&labels, " ", key, "=", value);
  std::printf("%-6llu %s%s\n", static_cast<unsigned long long>(document.revision()),
              document.name().c_str(), labels.c_str());
}

int Watch(const ConnectionOptions& options, const DocumentFlags& flags) {
  return WithConnection(options, [&](const Connection& connection) {
    v1::WatchDocumentsRequest request;
    request.set_parent(FullName(options, flags.name));
    request.set_from_now(flags.from_now);
    const auto context = connection.NewCall(24 * 3600);
    const auto stub = v1::DocumentService::NewStub(connection.channel());
    const auto stream = stub->WatchDocuments(context.get(), request);
    for (v1::WatchDocumentsResponse part; stream->Read(&part);) {
      for (const v1::DocumentChange& change : part.changes()) {
        std::printf("%-8llu %-8s %s\n", static_cast<unsigned long long>(change.sequence()),
                    v1::DocumentChange::Kind_Name(change.kind()).c_str(),
                    change.document().name().c_str());
      }
      std::fflush(stdout);
    }
    return Report(stream->Finish());
  });
}

}  // namespace

void AddDocumentCommands(CLI::App& app, ConnectionOptions& options, int& exit_code) {
  const auto flags = std::make_shared<DocumentFlags>();
  CLI::App* put = app.add_subcommand("put", "Store a document from a file or standard input");
  put->add_option("NAME", flags->name)->required();
  put->add_option("FILE", flags->file, "- is standard input")->capture_default_str();
  put->add_option("--label", flags->labels, "key=value; may be repeated");
  put->add_option("--content-type", flags->content_type, "Default application/json");
  put->add_option("--if-match", flags->if_match, "Only if the document still has this etag");
  put->callback([&, flags] { exit_code = Put(options, *flags); });
  const auto named = [&](const char* verb, const char* help, std::function<int()> run) {
    CLI::App* command = app.add_subcommand(verb, help);
    command->add_option("NAME", flags->name)->required();
    command->callback([&exit_code, run = std::move(run), flags] { exit_code = run(); });
    return command;
  };
  named("get", "Print a document's content", [&, flags] { return Get(options, flags->name); });
  named("rm", "Delete a document", [&, flags] { return Remove(options, flags->name); });
  named("ls", "List the documents of HUB/PROJECT or HUB/PROJECT/COLLECTION", [&, flags] {
    return EachDocument(options, flags->name, v1::BASIC,
                        [&](const v1::Document& document) { PrintLine(options, document); });
  });
  named("export", "Print the documents of HUB/PROJECT as JSON", [&, flags] {
    return EachDocument(options, flags->name, v1::FULL, PrintJson);
  });
  CLI::App* watch = named("watch", "Print the changes of a hub as they come",
                          [&, flags] { return Watch(options, *flags); });
  watch->add_flag("--from-now", flags->from_now, "Only changes after the call");

  CLI::App* import = app.add_subcommand(
      "import", "Store the lines of a file: {\"collection\",\"id\",\"labels\",\"content\"}");
  import->add_option("HUB", flags->name)->required();
  import->add_option("FILE", flags->file)->required();
  import->add_option("--project", flags->project, "Must exist")->required();
  import->callback([&, flags] {
    exit_code = WithConnection(options, [&](const Connection& connection) {
      return Import(connection, FullName(options, flags->name), flags->project, flags->file);
    });
  });
}

}  // namespace cmkstore::cli
