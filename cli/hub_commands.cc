#include <cstdio>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/time.h"
#include "cli/commands.h"
#include "cli/failure.h"
#include "cmkstore/v1/hub_service.grpc.pb.h"
#include "cmkstore/v1/project_service.grpc.pb.h"

namespace cmkstore::cli {
namespace {

void PrintHub(const ConnectionOptions& options, const v1::Hub& hub) {
  if (options.json) return PrintJson(hub);
  std::printf("%-40s %-9s %s%s%s\n", hub.name().c_str(), v1::Hub::State_Name(hub.state()).c_str(),
              hub.display_name().c_str(), hub.state_reason().empty() ? "" : " ",
              hub.state_reason().c_str());
}

void PrintProject(const ConnectionOptions& options, const v1::Project& project) {
  if (options.json) return PrintJson(project);
  std::printf("%-60s %s\n", project.name().c_str(), project.display_name().c_str());
}

struct HubFlags {
  std::string name, vault_key, display_name;
  bool platform_managed = false;
};

// https://HOST/keys/NAME[/VERSION] as the API's fields.
bool ReadVaultKey(const std::string& url, v1::CustomerManagedKey& key) {
  const std::vector<std::string> halves = absl::StrSplit(url, absl::MaxSplits("/keys/", 1));
  if (halves.size() != 2) return false;
  const std::vector<std::string> name = absl::StrSplit(halves[1], absl::MaxSplits('/', 1));
  key.set_vault_uri(halves[0]);
  key.set_key_name(name[0]);
  if (name.size() == 2) key.set_key_version(name[1]);
  return true;
}

int CreateHub(const ConnectionOptions& options, const HubFlags& flags) {
  v1::CreateHubRequest request;
  request.set_parent(absl::StrCat("tenants/", options.tenant));
  request.set_hub_id(flags.name);
  request.mutable_hub()->set_display_name(flags.display_name);
  v1::Encryption& encryption = *request.mutable_hub()->mutable_encryption();
  if (flags.platform_managed) {
    encryption.mutable_platform_managed();
  } else if (!ReadVaultKey(flags.vault_key, *encryption.mutable_customer_managed())) {
    std::fprintf(stderr, "cmkctl: --vault-key must be https://HOST/keys/NAME[/VERSION]\n");
    return kUsage;
  }
  return WithConnection(options, [&](const Connection& connection) {
    v1::Hub hub;
    const grpc::Status status = v1::HubService::NewStub(connection.channel())
                                    ->CreateHub(connection.NewCall().get(), request, &hub);
    if (status.ok()) PrintHub(options, hub);
    return Report(status);
  });
}

template <typename Request>
int OneHub(const ConnectionOptions& options, const std::string& name,
           grpc::Status (v1::HubService::Stub::*method)(grpc::ClientContext*, const Request&,
                                                        v1::Hub*)) {
  return WithConnection(options, [&](const Connection& connection) {
    Request request;
    request.set_name(FullName(options, name));
    v1::Hub hub;
    const auto stub = v1::HubService::NewStub(connection.channel());
    const grpc::Status status = (stub.get()->*method)(connection.NewCall().get(), request, &hub);
    if (status.ok()) PrintHub(options, hub);
    return Report(status);
  });
}

int ListHubs(const ConnectionOptions& options) {
  return WithConnection(options, [&](const Connection& connection) {
    const auto stub = v1::HubService::NewStub(connection.channel());
    v1::ListHubsRequest request;
    request.set_parent(absl::StrCat("tenants/", options.tenant));
    grpc::Status status;
    do {
      v1::ListHubsResponse page;
      status = stub->ListHubs(connection.NewCall().get(), request, &page);
      for (const v1::Hub& hub : page.hubs()) PrintHub(options, hub);
      request.set_page_token(page.next_page_token());
    } while (status.ok() && !request.page_token().empty());
    return Report(status);
  });
}

int CreateProject(const ConnectionOptions& options, const HubFlags& flags) {
  const std::vector<std::string> parts = absl::StrSplit(flags.name, '/');
  if (parts.size() != 2) {
    std::fprintf(stderr, "cmkctl: a project is named HUB/PROJECT\n");
    return kUsage;
  }
  return WithConnection(options, [&](const Connection& connection) {
    v1::CreateProjectRequest request;
    request.set_parent(FullName(options, parts[0]));
    request.set_project_id(parts[1]);
    request.mutable_project()->set_display_name(flags.display_name);
    v1::Project project;
    const grpc::Status status = v1::ProjectService::NewStub(connection.channel())
                                    ->CreateProject(connection.NewCall().get(), request, &project);
    if (status.ok()) PrintProject(options, project);
    return Report(status);
  });
}

int ListProjects(const ConnectionOptions& options, const std::string& hub) {
  return WithConnection(options, [&](const Connection& connection) {
    const auto stub = v1::ProjectService::NewStub(connection.channel());
    v1::ListProjectsRequest request;
    request.set_parent(FullName(options, hub));
    grpc::Status status;
    do {
      v1::ListProjectsResponse page;
      status = stub->ListProjects(connection.NewCall().get(), request, &page);
      for (const v1::Project& project : page.projects()) PrintProject(options, project);
      request.set_page_token(page.next_page_token());
    } while (status.ok() && !request.page_token().empty());
    return Report(status);
  });
}

}  // namespace

void AddHubCommands(CLI::App& app, ConnectionOptions& options, int& exit_code) {
  const auto flags = std::make_shared<HubFlags>();
  CLI::App* hub = app.add_subcommand("hub", "Create, show, list, delete hubs")->require_subcommand(1);
  CLI::App* create = hub->add_subcommand("create", "Create a hub under a key");
  create->add_option("HUB", flags->name)->required();
  auto* key = create->add_option("--vault-key", flags->vault_key,
                                 "https://VAULT/keys/NAME[/VERSION]; without version: the latest");
  create->add_flag("--platform-managed", flags->platform_managed, "A key of the service")
      ->excludes(key);
  create->add_option("--display-name", flags->display_name);
  create->callback([&, flags] { exit_code = CreateHub(options, *flags); });
  const auto one = [&](const char* verb, const char* help, auto method) {
    CLI::App* command = hub->add_subcommand(verb, help);
    command->add_option("HUB", flags->name)->required();
    command->callback([&, flags, method] { exit_code = OneHub(options, flags->name, method); });
  };
  one("get", "Show a hub", &v1::HubService::Stub::GetHub);
  one("delete", "Delete a hub; it can be undeleted for 7 days", &v1::HubService::Stub::DeleteHub);
  one("undelete", "Bring a deleted hub back", &v1::HubService::Stub::UndeleteHub);
  hub->add_subcommand("list", "List the tenant's hubs")->callback([&] {
    exit_code = ListHubs(options);
  });

  CLI::App* project =
      app.add_subcommand("project", "Create and list projects")->require_subcommand(1);
  CLI::App* create_project = project->add_subcommand("create", "Create HUB/PROJECT");
  create_project->add_option("HUB/PROJECT", flags->name)->required();
  create_project->add_option("--display-name", flags->display_name);
  create_project->callback([&, flags] { exit_code = CreateProject(options, *flags); });
  CLI::App* list_projects = project->add_subcommand("list", "List the projects of a hub");
  list_projects->add_option("HUB", flags->name)->required();
  list_projects->callback([&, flags] { exit_code = ListProjects(options, flags->name); });
}

}  // namespace cmkstore::cli
