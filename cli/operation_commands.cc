#include <memory>
#include <vector>

#include "base/errors.h"
#include "cli/commands.h"
#include "cli/list_printer.h"
#include "cli/operation_wait.h"
#include "cli/output.h"
#include "cli/paging.h"
#include "cli/resource_names.h"
#include "cmkstore/v1/key_service.pb.h"
#include "google/longrunning/operations.grpc.pb.h"

namespace cmkstore::cli {
namespace {

using google::longrunning::Operation;
using google::longrunning::Operations;

struct OperationFlags {
  std::string name;
  bool server = false;
};

// What has operations: a hub, or the server itself.
absl::StatusOr<std::string> ParentOf(const Connection& connection, const OperationFlags& flags) {
  if (flags.server) return "server";
  if (flags.name.empty()) return StateInvalid("say whose operations: HUB, or --server");
  return FullName(connection.tenant(), flags.name, Depth::kHub);
}

int List(const Invocation& invocation, const Connection& connection, const OperationFlags& flags) {
  const auto parent = ParentOf(connection, flags);
  if (!parent.ok()) return ReportUsage(parent.status(), invocation.style());
  google::longrunning::ListOperationsRequest request;
  request.set_name(*parent);
  request.set_page_size(500);
  const auto stub = Operations::NewStub(connection.channel());
  ListPrinter<Operation> printer(
      invocation, {"OPERATION", "KIND", "STATE", "PROGRESS", "STARTED"}, [](const Operation& one) {
        v1::OperationMetadata metadata;
        one.metadata().UnpackTo(&metadata);
        return std::vector<std::string>{ShortName(one.name()), metadata.kind(), StateText(one),
                                        ProgressText(metadata), TimeText(metadata.create_time())};
      });
  return printer.Finish(
      ForEachPage(connection, *stub, &Operations::Stub::ListOperations, request,
                  [&printer](const google::longrunning::ListOperationsResponse& page) {
                    printer.AddAll(page.operations());
                  }));
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
  const auto flags = std::make_shared<OperationFlags>();
  CLI::App* operations =
      app.add_subcommand("operations", "Follow long-running work of a hub or of the server");
  operations->require_subcommand(1);
  operations->footer(
      "\nExamples:\n  cmkctl operations list h1\n  cmkctl operations wait h1/OPERATION");
  CLI::App* list = operations->add_subcommand("list", "List operations, newest first");
  list->footer(
      "\nExamples:\n"
      "  cmkctl operations list h1\n"
      "  cmkctl operations list --server    backups, restores and checks; for operators");
  CLI::Option* hub = list->add_option("HUB", flags->name, "Whose");
  list->add_flag("--server", flags->server, "Those of the server itself")->excludes(hub);
  OnRun(list, invocation, [&invocation, flags](const Connection& connection) {
    return List(invocation, connection, *flags);
  });
  const auto add = [&](const char* verb, const char* what, const char* examples,
                       int (*run)(const Invocation&, const Connection&, const std::string&)) {
    CLI::App* command = operations->add_subcommand(verb, what);
    command->footer(std::string("\nExamples:\n") + examples);
    command->add_option("HUB/OPERATION", flags->name)->required();
    OnRun(command, invocation, [&invocation, flags, run](const Connection& connection) -> int {
      const auto full = OperationName(connection.tenant(), flags->name);
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
