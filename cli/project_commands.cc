#include <memory>
#include <vector>

#include "cli/commands.h"
#include "cli/list_printer.h"
#include "cli/output.h"
#include "cli/paging.h"
#include "cli/resource_names.h"
#include "cli/table.h"
#include "cmkstore/v1/project_service.grpc.pb.h"

namespace cmkstore::cli {
namespace {

struct ProjectFlags {
  std::string name, display_name, etag;
  bool force = false;
};

int Finish(const Invocation& invocation, const grpc::Status& status, const v1::Project& project) {
  if (status.ok() && invocation.json) PrintJson(project);
  if (status.ok() && !invocation.json) {
    Table table;
    table.Add({"project", ShortName(project.name())});
    if (!project.display_name().empty()) table.Add({"display name", project.display_name()});
    table.Add({"created", TimeText(project.create_time())});
    table.Add({"changed", TimeText(project.update_time())});
    table.Add({"uid", project.uid()});
    table.Add({"etag", project.etag()});
  }
  return Report(status, invocation.style());
}

int CreateProject(const Invocation& invocation, const Connection& connection,
                  const ProjectFlags& flags) {
  const auto full = FullName(connection.tenant(), flags.name, Depth::kProject);
  if (!full.ok()) return ReportUsage(full.status(), invocation.style());
  v1::CreateProjectRequest request;
  request.set_parent(full->substr(0, full->find("/projects/")));
  request.set_project_id(LastPart(*full));
  request.mutable_project()->set_display_name(flags.display_name);
  v1::Project project;
  const auto stub = v1::ProjectService::NewStub(connection.channel());
  const grpc::Status status = stub->CreateProject(connection.NewCall().get(), request, &project);
  return Finish(invocation, status, project);
}

int GetProject(const Invocation& invocation, const Connection& connection,
               const std::string& name) {
  const auto full = FullName(connection.tenant(), name, Depth::kProject);
  if (!full.ok()) return ReportUsage(full.status(), invocation.style());
  v1::GetProjectRequest request;
  request.set_name(*full);
  v1::Project project;
  const auto stub = v1::ProjectService::NewStub(connection.channel());
  const grpc::Status status = stub->GetProject(connection.NewCall().get(), request, &project);
  return Finish(invocation, status, project);
}

int UpdateProject(const Invocation& invocation, const Connection& connection,
                  const ProjectFlags& flags) {
  const auto full = FullName(connection.tenant(), flags.name, Depth::kProject);
  if (!full.ok()) return ReportUsage(full.status(), invocation.style());
  v1::UpdateProjectRequest request;
  request.mutable_project()->set_name(*full);
  request.mutable_project()->set_display_name(flags.display_name);
  request.mutable_project()->set_etag(flags.etag);
  request.mutable_update_mask()->add_paths("display_name");
  v1::Project project;
  const auto stub = v1::ProjectService::NewStub(connection.channel());
  const grpc::Status status = stub->UpdateProject(connection.NewCall().get(), request, &project);
  return Finish(invocation, status, project);
}

int DeleteProject(const Invocation& invocation, const Connection& connection,
                  const ProjectFlags& flags) {
  const auto full = FullName(connection.tenant(), flags.name, Depth::kProject);
  if (!full.ok()) return ReportUsage(full.status(), invocation.style());
  v1::DeleteProjectRequest request;
  request.set_name(*full);
  request.set_etag(flags.etag);
  request.set_force(flags.force);
  google::protobuf::Empty nothing;
  const auto stub = v1::ProjectService::NewStub(connection.channel());
  return Report(stub->DeleteProject(connection.NewCall().get(), request, &nothing),
                invocation.style());
}

int ListProjects(const Invocation& invocation, const Connection& connection,
                 const std::string& hub) {
  const auto parent = FullName(connection.tenant(), hub, Depth::kHub);
  if (!parent.ok()) return ReportUsage(parent.status(), invocation.style());
  v1::ListProjectsRequest request;
  request.set_parent(*parent);
  request.set_page_size(500);
  const auto stub = v1::ProjectService::NewStub(connection.channel());
  ListPrinter<v1::Project> printer(
      invocation, {"PROJECT", "CREATED", "DISPLAY NAME"}, [](const v1::Project& project) {
        return std::vector<std::string>{ShortName(project.name()), TimeText(project.create_time()),
                                        project.display_name()};
      });
  return printer.Finish(ForEachPage(
      connection, *stub, &v1::ProjectService::Stub::ListProjects, request,
      [&printer](const v1::ListProjectsResponse& page) { printer.AddAll(page.projects()); }));
}

}  // namespace

void AddProjectCommands(CLI::App& app, Invocation& invocation) {
  const auto flags = std::make_shared<ProjectFlags>();
  CLI::App* project = app.add_subcommand("project", "Create, show and delete projects of a hub");
  project->require_subcommand(1);
  project->footer("\nExamples:\n  cmkctl project create h1/retail\n  cmkctl project list h1");
  const auto add = [&](const char* verb, const char* what, const char* examples) {
    CLI::App* command = project->add_subcommand(verb, what);
    command->footer(std::string("\nExamples:\n") + examples);
    command->add_option("HUB/PROJECT", flags->name)->required();
    return command;
  };
  CLI::App* create = add("create", "Create a project",
                         "  cmkctl project create h1/retail --display-name 'Retail assistant'");
  create->add_option("--display-name", flags->display_name, "For people");
  OnRun(create, invocation, [&invocation, flags](const Connection& connection) {
    return CreateProject(invocation, connection, *flags);
  });
  CLI::App* get = add("get", "Show a project", "  cmkctl project get h1/retail --json");
  OnRun(get, invocation, [&invocation, flags](const Connection& connection) {
    return GetProject(invocation, connection, flags->name);
  });
  CLI::App* list = project->add_subcommand("list", "List the projects of a hub");
  list->footer("\nExamples:\n  cmkctl project list h1");
  list->add_option("HUB", flags->name)->required();
  OnRun(list, invocation, [&invocation, flags](const Connection& connection) {
    return ListProjects(invocation, connection, flags->name);
  });
  CLI::App* update = add("update", "Change a project's display name",
                         "  cmkctl project update h1/retail --display-name 'Retail, EU'");
  update->add_option("--display-name", flags->display_name, "For people")->required();
  update->add_option("--if-match", flags->etag, "Only if the project still has this etag");
  OnRun(update, invocation, [&invocation, flags](const Connection& connection) {
    return UpdateProject(invocation, connection, *flags);
  });
  CLI::App* remove = add("delete", "Delete a project for good",
                         "  cmkctl project delete h1/retail           refused if it has documents\n"
                         "  cmkctl project delete h1/retail --force   with all its documents");
  remove->add_flag("--force", flags->force, "With all its documents");
  remove->add_option("--if-match", flags->etag, "Only if the project still has this etag");
  OnRun(remove, invocation, [&invocation, flags](const Connection& connection) {
    return DeleteProject(invocation, connection, *flags);
  });
}

}  // namespace cmkstore::cli
