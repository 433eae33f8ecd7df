#include <functional>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "cli/commands.h"
#include "cli/operation_wait.h"
#include "cli/output.h"
#include "cli/resource_names.h"
#include "cli/table.h"
#include "cmkstore/v1/search_service.grpc.pb.h"

namespace cmkstore::cli {
namespace {

struct IndexFlags {
  std::string hub;
  bool no_wait = false;
};

void Show(const Invocation& invocation, const v1::SearchIndex& index) {
  if (invocation.json) return PrintJson(index);
  Table table;
  table.Add({"hub", ShortName(index.name().substr(0, index.name().rfind('/')))});
  table.Add({"state", v1::SearchIndex::State_Name(index.state())});
  // A locked hub's is closed: nobody can count in it.
  if (index.state() == v1::SearchIndex::LOCKED) return;
  if (!index.failure_reason().empty()) {
    const std::string again = index.has_next_try_time()
                                  ? absl::StrCat("; tried again ", TimeText(index.next_try_time()))
                                  : "";
    table.Add({"failing",
               absl::StrCat(index.failure_message(), " [", index.failure_reason(), "]", again)});
  }
  table.Add({"documents", absl::StrCat(index.document_count())});
  if (index.unreadable_count() > 0) {
    table.Add({"unreadable", absl::StrCat(index.unreadable_count(), " documents, left out")});
  }
  table.Add({"bytes", absl::StrCat(index.size_bytes())});
  // Sequences: they have gaps, so they are no counts.
  table.Add({"indexed", absl::StrCat("up to change ", index.indexed_sequence(), "; the last is ",
                                     index.last_sequence())});
}

int Status(const Invocation& invocation, const Connection& connection, const std::string& hub) {
  v1::GetSearchIndexRequest request;
  request.set_name(absl::StrCat(hub, "/searchIndex"));
  v1::SearchIndex index;
  const auto stub = v1::SearchService::NewStub(connection.channel());
  const grpc::Status status = stub->GetSearchIndex(connection.NewCall().get(), request, &index);
  if (status.ok()) Show(invocation, index);
  return Report(status, invocation.style());
}

int Rebuild(const Invocation& invocation, const Connection& connection, const std::string& hub,
            Waits waits) {
  v1::RebuildSearchIndexRequest request;
  request.set_name(absl::StrCat(hub, "/searchIndex"));
  google::longrunning::Operation operation;
  const auto stub = v1::SearchService::NewStub(connection.channel());
  const grpc::Status started =
      stub->RebuildSearchIndex(connection.NewCall().get(), request, &operation);
  return FinishOperation<v1::SearchIndex>(invocation, connection, waits, started, operation,
                                          [&invocation](const v1::SearchIndex& index) -> int {
                                            if (!invocation.json) Show(invocation, index);
                                            return kOk;
                                          });
}

}  // namespace

void AddIndexCommands(CLI::App& app, Invocation& invocation) {
  const auto flags = std::make_shared<IndexFlags>();
  CLI::App* index = app.add_subcommand("index", "Show and rebuild a hub's search index");
  index->require_subcommand(1);
  index->footer("\nExamples:\n  cmkctl index status h1\n  cmkctl index rebuild h1");
  const auto add = [&](const char* verb, const char* what, const char* examples,
                       std::function<int(const Connection&, const std::string&)> run) {
    CLI::App* command = index->add_subcommand(verb, what);
    command->footer(std::string("\nExamples:\n") + examples);
    command->add_option("HUB", flags->hub)->required();
    OnRun(command, invocation, [&invocation, flags, run](const Connection& connection) -> int {
      const auto name = FullName(connection.tenant(), flags->hub, Depth::kHub);
      if (!name.ok()) return ReportUsage(name.status(), invocation.style());
      return run(connection, *name);
    });
    return command;
  };
  add("status", "How large it is, and how far behind the documents", "  cmkctl index status h1",
      [&invocation](const Connection& connection, const std::string& hub) {
        return Status(invocation, connection, hub);
      });
  CLI::App* rebuild =
      add("rebuild", "Build it anew from the documents; the old one serves until then",
          "  cmkctl index rebuild h1              waits until it is done\n"
          "  cmkctl index rebuild h1 --no-wait    then: cmkctl operations wait HUB/OPERATION\n"
          "Needs room on disk for the index once more. No document is changed.",
          [&invocation, flags](const Connection& connection, const std::string& hub) {
            return Rebuild(invocation, connection, hub, flags->no_wait ? Waits::kNo : Waits::kYes);
          });
  rebuild->add_flag("--no-wait", flags->no_wait, "Only start it");
}

}  // namespace cmkstore::cli
