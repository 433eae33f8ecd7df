#include <memory>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "base/errors.h"
#include "base/status_macros.h"
#include "cli/commands.h"
#include "cli/list_printer.h"
#include "cli/output.h"
#include "cli/paging.h"
#include "cli/resource_names.h"
#include "cli/table.h"
#include "cli/vault_key_url.h"
#include "cmkstore/v1/hub_service.grpc.pb.h"

namespace cmkstore::cli {
namespace {

struct HubFlags {
  std::string name, vault_key, identity, display_name, outage_grace, etag, retention;
  std::vector<std::string> allowed_ips;
  bool platform_managed = false;
  bool dry_run = false;
  bool deleted = false;
  bool all_ips = false;
};

enum class Shown { kAsItIs, kWouldBe };

void ShowHub(const Invocation& invocation, const v1::Hub& hub, Shown shown = Shown::kAsItIs) {
  if (invocation.json) return PrintJson(hub);
  Table table;
  const auto add = [&table](const char* field, const std::string& value) {
    if (!value.empty()) table.Add({field, value});
  };
  add("hub", ShortName(hub.name()));
  const bool is = shown == Shown::kAsItIs;
  if (is) {
    add("state", absl::StrCat(v1::Hub::State_Name(hub.state()),
                              hub.state_reason().empty() ? "" : " ", hub.state_reason()));
  }
  add("display name", hub.display_name());
  add("key", KeyText(hub.encryption()));
  add("identity", hub.encryption().customer_managed().identity());
  add("outage grace", DurationText(hub.outage_grace()));
  add("allowed networks",
      hub.allowed_ip_ranges().empty() ? "all" : absl::StrJoin(hub.allowed_ip_ranges(), ", "));
  if (!is) return;
  add("created", TimeText(hub.create_time()));
  add("changed", TimeText(hub.update_time()));
  add("deleted", TimeText(hub.delete_time()));
  add("destroyed at", TimeText(hub.purge_time()));
  add("shard", absl::StrCat(hub.managed_resources().shard()));
  add("uid", hub.uid());
  add("etag", hub.etag());
}

int Finish(const Invocation& invocation, const grpc::Status& status, const v1::Hub& hub) {
  if (status.ok()) ShowHub(invocation, hub);
  return Report(status, invocation.style());
}

absl::StatusOr<google::protobuf::Duration> ParseFlag(const char* flag, const std::string& text) {
  absl::Duration duration;
  if (!absl::ParseDuration(text, &duration)) {
    return FieldInvalid(flag, "must be a duration such as 30m, 2h or 168h");
  }
  return ToProto(duration);
}

absl::StatusOr<v1::CreateHubRequest> ToCreate(const Connection& connection, const HubFlags& flags) {
  v1::CreateHubRequest request;
  CMK_ASSIGN_OR_RETURN(const std::string full,
                       FullName(connection.tenant(), flags.name, Depth::kHub));
  request.set_parent(full.substr(0, full.find("/hubs/")));
  request.set_hub_id(LastPart(full));
  request.set_validate_only(flags.dry_run);
  v1::Hub& hub = *request.mutable_hub();
  hub.set_display_name(flags.display_name);
  *hub.mutable_allowed_ip_ranges() = {flags.allowed_ips.begin(), flags.allowed_ips.end()};
  if (!flags.outage_grace.empty()) {
    CMK_ASSIGN_OR_RETURN(*hub.mutable_outage_grace(),
                         ParseFlag("--outage-grace", flags.outage_grace));
  }
  if (flags.platform_managed) {
    hub.mutable_encryption()->mutable_platform_managed();
    return request;
  }
  if (flags.vault_key.empty()) {
    return StateInvalid("say which key: --vault-key https://HOST/keys/NAME, or --platform-managed");
  }
  v1::CustomerManagedKey& key = *hub.mutable_encryption()->mutable_customer_managed();
  CMK_ASSIGN_OR_RETURN(key, ParseVaultKey(flags.vault_key));
  key.set_identity(flags.identity);
  return request;
}

absl::StatusOr<v1::UpdateHubRequest> ToUpdate(const Connection& connection, const HubFlags& flags,
                                              const CLI::App& command) {
  v1::UpdateHubRequest request;
  v1::Hub& hub = *request.mutable_hub();
  auto& mask = *request.mutable_update_mask();
  request.set_validate_only(flags.dry_run);
  CMK_ASSIGN_OR_RETURN(*hub.mutable_name(), FullName(connection.tenant(), flags.name, Depth::kHub));
  hub.set_etag(flags.etag);
  if (command.count("--display-name") > 0) {
    hub.set_display_name(flags.display_name);
    mask.add_paths("display_name");
  }
  if (command.count("--outage-grace") > 0) {
    CMK_ASSIGN_OR_RETURN(*hub.mutable_outage_grace(),
                         ParseFlag("--outage-grace", flags.outage_grace));
    mask.add_paths("outage_grace");
  }
  if (command.count("--allow-ip") > 0) {
    *hub.mutable_allowed_ip_ranges() = {flags.allowed_ips.begin(), flags.allowed_ips.end()};
    mask.add_paths("allowed_ip_ranges");
  }
  if (flags.all_ips) mask.add_paths("allowed_ip_ranges");
  v1::CustomerManagedKey& key = *hub.mutable_encryption()->mutable_customer_managed();
  if (command.count("--vault-key") > 0) {
    CMK_ASSIGN_OR_RETURN(key, ParseVaultKey(flags.vault_key));
    mask.add_paths("encryption.customer_managed.key_name");
    mask.add_paths("encryption.customer_managed.key_version");
  }
  if (command.count("--identity") > 0) {
    key.set_identity(flags.identity);
    mask.add_paths("encryption.customer_managed.identity");
  }
  if (mask.paths().empty()) {
    return StateInvalid("say what to change; `cmkctl hub update --help` lists it");
  }
  return request;
}

// What a hub would be: it has no state, and names that stand for it only once there is one.
v1::Hub WouldBe(const v1::Hub& hub) {
  v1::Hub would_be;
  would_be.set_name(hub.name());
  would_be.set_display_name(hub.display_name());
  *would_be.mutable_encryption() = hub.encryption();
  *would_be.mutable_outage_grace() = hub.outage_grace();
  *would_be.mutable_allowed_ip_ranges() = hub.allowed_ip_ranges();
  return would_be;
}

int FinishDryRun(const Invocation& invocation, const grpc::Status& status, const v1::Hub& hub,
                 const char* outcome) {
  if (!status.ok()) return Report(status, invocation.style());
  if (invocation.json) {
    PrintLine(absl::StrCat(R"({"dry_run":true,"hub":)", ToJson(WouldBe(hub)), "}"));
    return kOk;
  }
  ShowHub(invocation, hub, Shown::kWouldBe);
  PrintLine(outcome);
  return kOk;
}

int CreateHub(const Invocation& invocation, const Connection& connection, const HubFlags& flags) {
  const auto request = ToCreate(connection, flags);
  if (!request.ok()) return ReportUsage(request.status(), invocation.style());
  v1::Hub hub;
  const auto stub = v1::HubService::NewStub(connection.channel());
  const grpc::Status status = stub->CreateHub(connection.NewCall().get(), *request, &hub);
  if (flags.dry_run) {
    return FinishDryRun(invocation, status, hub,
                        "\nEvery check passed. Nothing was made: this was a dry run.");
  }
  return Finish(invocation, status, hub);
}

int UpdateHub(const Invocation& invocation, const Connection& connection, const HubFlags& flags,
              const CLI::App& command) {
  const auto request = ToUpdate(connection, flags, command);
  if (!request.ok()) return ReportUsage(request.status(), invocation.style());
  v1::Hub hub;
  const auto stub = v1::HubService::NewStub(connection.channel());
  const grpc::Status status = stub->UpdateHub(connection.NewCall().get(), *request, &hub);
  if (flags.dry_run) {
    return FinishDryRun(invocation, status, hub,
                        "\nEvery check passed. Nothing was changed: this was a dry run.");
  }
  return Finish(invocation, status, hub);
}

template <typename Request>
int OneHub(const Invocation& invocation, const Connection& connection, const std::string& name,
           Request request,
           grpc::Status (v1::HubService::Stub::*method)(grpc::ClientContext*, const Request&,
                                                        v1::Hub*)) {
  const auto full = FullName(connection.tenant(), name, Depth::kHub);
  if (!full.ok()) return ReportUsage(full.status(), invocation.style());
  request.set_name(*full);
  v1::Hub hub;
  const auto stub = v1::HubService::NewStub(connection.channel());
  const grpc::Status status = (stub.get()->*method)(connection.NewCall().get(), request, &hub);
  return Finish(invocation, status, hub);
}

int DeleteHub(const Invocation& invocation, const Connection& connection, const HubFlags& flags) {
  v1::DeleteHubRequest request;
  request.set_etag(flags.etag);
  if (!flags.retention.empty()) {
    const auto retention = ParseFlag("--retention", flags.retention);
    if (!retention.ok()) return ReportUsage(retention.status(), invocation.style());
    *request.mutable_retention() = *retention;
  }
  return OneHub(invocation, connection, flags.name, request, &v1::HubService::Stub::DeleteHub);
}

int ListHubs(const Invocation& invocation, const Connection& connection, bool deleted) {
  const auto tenant = TenantName(connection.tenant());
  if (!tenant.ok()) return ReportUsage(tenant.status(), invocation.style());
  v1::ListHubsRequest request;
  request.set_parent(*tenant);
  request.set_page_size(500);
  request.set_show_deleted(deleted);
  const auto stub = v1::HubService::NewStub(connection.channel());
  ListPrinter<v1::Hub> printer(
      invocation, {"HUB", "STATE", "CREATED", "KEY", "DISPLAY NAME"}, [](const v1::Hub& hub) {
        return std::vector<std::string>{ShortName(hub.name()), v1::Hub::State_Name(hub.state()),
                                        TimeText(hub.create_time()), KeyText(hub.encryption()),
                                        hub.display_name()};
      });
  return printer.Finish(
      ForEachPage(connection, *stub, &v1::HubService::Stub::ListHubs, request,
                  [&printer](const v1::ListHubsResponse& page) { printer.AddAll(page.hubs()); }));
}

void AddCreate(CLI::App& hub, Invocation& invocation, const std::shared_ptr<HubFlags>& flags) {
  CLI::App* create = hub.add_subcommand("create", "Create a hub under a vault key");
  create->footer(
      "\nExamples:\n"
      "  cmkctl hub create h1 --vault-key https://contoso.vault.azure.net/keys/k1\n"
      "  cmkctl hub create h1 --vault-key https://contoso.vault.azure.net/keys/k1 --dry-run\n"
      "  cmkctl hub create demo --platform-managed --display-name 'Try things out'\n"
      "The key's kind cannot be changed later. Every check that the key fails is listed at once.");
  create->add_option("HUB", flags->name)->required();
  CLI::Option* vault_key =
      create->add_option("--vault-key", flags->vault_key, "https://HOST/keys/NAME[/VERSION]");
  create->add_flag("--platform-managed", flags->platform_managed, "A key of the service instead")
      ->excludes(vault_key);
  create->add_option("--identity", flags->identity, "Which of the server's identities to use");
  create->add_option("--display-name", flags->display_name, "For people");
  create->add_option("--outage-grace", flags->outage_grace,
                     "How long cached keys serve while the vault is down, 0 to 24h (default 1h)");
  create->add_option("--allow-ip", flags->allowed_ips, "CIDR that may read and write; repeatable");
  create->add_flag("--dry-run", flags->dry_run, "Check everything, create nothing");
  OnRun(create, invocation, [&invocation, flags](const Connection& connection) {
    return CreateHub(invocation, connection, *flags);
  });
}

void AddUpdate(CLI::App& hub, Invocation& invocation, const std::shared_ptr<HubFlags>& flags) {
  CLI::App* update = hub.add_subcommand("update", "Change what is given, leave the rest");
  update->footer(
      "\nExamples:\n"
      "  cmkctl hub update h1 --display-name 'Retail, production'\n"
      "  cmkctl hub update h1 --allow-ip 10.0.0.0/8 --allow-ip 192.0.2.7/32\n"
      "  cmkctl hub update h1 --vault-key https://contoso.vault.azure.net/keys/k2   (same vault)");
  update->add_option("HUB", flags->name)->required();
  update->add_option("--display-name", flags->display_name, "For people");
  update->add_option("--outage-grace", flags->outage_grace, "0 to 24h");
  CLI::Option* ips = update->add_option("--allow-ip", flags->allowed_ips, "Replaces the list");
  update->add_flag("--allow-all-ips", flags->all_ips, "Empties the list")->excludes(ips);
  update->add_option("--vault-key", flags->vault_key, "Another key of the same vault");
  update->add_option("--identity", flags->identity, "Another identity of the server");
  update->add_option("--if-match", flags->etag, "Only if the hub still has this etag");
  update->add_flag("--dry-run", flags->dry_run, "Check everything, change nothing");
  OnRun(update, invocation, [&invocation, flags, update](const Connection& connection) {
    return UpdateHub(invocation, connection, *flags, *update);
  });
}

}  // namespace

void AddHubCommands(CLI::App& app, Invocation& invocation) {
  const auto flags = std::make_shared<HubFlags>();
  CLI::App* hub = app.add_subcommand("hub", "Create, show and delete hubs")->require_subcommand(1);
  hub->footer(
      "\nExamples:\n"
      "  cmkctl hub create h1 --vault-key https://contoso.vault.azure.net/keys/k1\n"
      "  cmkctl hub list");
  AddCreate(*hub, invocation, flags);
  CLI::App* get = hub->add_subcommand("get", "Show a hub, also while it is locked");
  get->footer("\nExamples:\n  cmkctl hub get h1\n  cmkctl hub get h1 --json | jq -r .state");
  get->add_option("HUB", flags->name)->required();
  OnRun(get, invocation, [&invocation, flags](const Connection& connection) {
    return OneHub(invocation, connection, flags->name, v1::GetHubRequest(),
                  &v1::HubService::Stub::GetHub);
  });
  CLI::App* list = hub->add_subcommand("list", "List the tenant's hubs");
  list->footer("\nExamples:\n  cmkctl hub list\n  cmkctl hub list --deleted --json");
  list->add_flag("--deleted", flags->deleted, "Deleted ones too");
  OnRun(list, invocation, [&invocation, flags](const Connection& connection) {
    return ListHubs(invocation, connection, flags->deleted);
  });
  AddUpdate(*hub, invocation, flags);
  CLI::App* remove = hub->add_subcommand("delete", "Delete a hub; it can be undeleted for a time");
  remove->footer(
      "\nExamples:\n"
      "  cmkctl hub delete h1                     refused at once, destroyed after 7 days\n"
      "  cmkctl hub delete h1 --retention 720h    30 days");
  remove->add_option("HUB", flags->name)->required();
  remove->add_option("--retention", flags->retention, "168h to 2160h (default 168h)");
  remove->add_option("--if-match", flags->etag, "Only if the hub still has this etag");
  OnRun(remove, invocation, [&invocation, flags](const Connection& connection) {
    return DeleteHub(invocation, connection, *flags);
  });
  CLI::App* undelete = hub->add_subcommand("undelete", "Bring a deleted hub back");
  undelete->footer("\nExamples:\n  cmkctl hub list --deleted\n  cmkctl hub undelete h1");
  undelete->add_option("HUB", flags->name)->required();
  OnRun(undelete, invocation, [&invocation, flags](const Connection& connection) {
    return OneHub(invocation, connection, flags->name, v1::UndeleteHubRequest(),
                  &v1::HubService::Stub::UndeleteHub);
  });
}

}  // namespace cmkstore::cli
