#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "cli/commands.h"
#include "cli/operation_wait.h"
#include "cli/output.h"
#include "cli/paging.h"
#include "cli/resource_names.h"
#include "cli/table.h"
#include "cmkstore/v1/key_service.pb.h"
#include "google/longrunning/operations.grpc.pb.h"

namespace cmkstore::cli {
namespace {

using google::longrunning::Operation;
using google::longrunning::Operations;

int List(const Invocation& invocation, const Connection& connection, const std::string& hub) {
  const auto name = FullName(connection.tenant(), hub, Depth::kHub);
  if (!name.ok()) return ReportUsage(name.status(), invocation.style());
  google::longrunning::ListOperationsRequest request;
  request.set_name(*name);
  request.set_page_size(500);
  const auto stub = Operations::NewStub(connection.channel());
  std::unique_ptr<Table> table;
  const grpc::Status status = ForEachPage(
      connection, *stub, &Operations::Stub::ListOperations, request,
      [&](const google::longrunning::ListOperationsResponse& page) {
        if (!invocation.json && table == nullptr) {
          table = std::make_unique<Table>(
              std::vector<std::string>{"OPERATION", "KIND", "STATE", "PROGRESS", "STARTED"});
        }
        for (const Operation& one : page.operations()) {
          if (invocation.json) {
            PrintJson(one);
            continue;
          }
          v1::OperationMetadata metadata;
          one.metadata().UnpackTo(&metadata);
          table->Add(
              {ShortName(one.name()), metadata.kind(),
               !one.done()       ? "running"
               : one.has_error() ? "failed"
                                 : "done",
               metadata.total() == 0 ? "" : absl::StrCat(metadata.done(), " of ", metadata.total()),
               TimeText(metadata.create_time())});
        }
      });
  return Report(status, invocation.style());
}

grpc::Status Fetch(const Connection& connection, const std::string& name, Operation& operation) {
  google::longrunning::GetOperationRequest request;
  request.set_name(name);
  const auto stub = Operations::NewStub(connection.channel());
  return stub->GetOperation(connection.NewCall().get(), request, &operation);
}

int Get(const Invocation& invocation, const Connection& connection, const std::string& name) {
  Operation operation;
  const grpc::Status status = Fetch(connection, name, operation);
  if (status.ok()) ShowOperation(invocation, operation);
  return Report(status, invocation.style());
}

int Wait(const Invocation& invocation, const Connection& connection, const std::string& name) {
  Operation operation;
  const grpc::Status status = Fetch(connection, name, operation);
  if (!status.ok()) return Report(status, invocation.style());
  const int exit_code = WaitForOperation(invocation, connection, operation);
  if (exit_code == kOk && !invocation.json) ShowOperation(invocation, operation);
  return exit_code;
}

int Cancel(const Invocation& invocation, const Connection& connection, const std::string& name) {
  google::longrunning::CancelOperationRequest request;
  request.set_name(name);
  google::protobuf::Empty nothing;
  const auto stub = Operations::NewStub(connection.channel());
  return Report(stub->CancelOperation(connection.NewCall().get(), request, &nothing),
                invocation.style());
}

}  // namespace

void AddOperationCommands(CLI::App& app, Invocation& invocation) {
  const auto name = std::make_shared<std::string>();
  CLI::App* operations = app.add_subcommand("operations", "Follow long-running work of a hub");
  operations->require_subcommand(1);
  CLI::App* list = operations->add_subcommand("list", "List a hub's operations, newest first");
  list->footer("\nExamples:\n  cmkctl operations list h1");
  list->add_option("HUB", *name)->required();
  OnRun(list, invocation, [&invocation, name](const Connection& connection) {
    return List(invocation, connection, *name);
  });
  const auto add = [&](const char* verb, const char* what, const char* examples,
                       int (*run)(const Invocation&, const Connection&, const std::string&)) {
    CLI::App* command = operations->add_subcommand(verb, what);
    command->footer(std::string("\nExamples:\n") + examples);
    command->add_option("HUB/OPERATION", *name)->required();
    OnRun(command, invocation, [&invocation, name, run](const Connection& connection) -> int {
      const auto full = OperationName(connection.tenant(), *name);
      if (!full.ok()) return ReportUsage(full.status(), invocation.style());
      return run(invocation, connection, *full);
    });
  };
  add("get", "Show an operation", "  cmkctl operations get h1/OPERATION", Get);
  add("wait", "Wait until it is done; fails as it failed",
      "  cmkctl operations wait h1/OPERATION\n"
      "  cmkctl operations wait h1/OPERATION --timeout 5m     exit code 7 if it still runs then",
      Wait);
  add("cancel", "Ask it to stop at its next safe point", "  cmkctl operations cancel h1/OPERATION",
      Cancel);
}

}  // namespace cmkstore::cli
