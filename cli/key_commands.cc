#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "cli/commands.h"
#include "cli/operation_wait.h"
#include "cli/output.h"
#include "cli/printable.h"
#include "cli/resource_names.h"
#include "cli/table.h"
#include "cli/vault_key_url.h"
#include "cmkstore/v1/key_service.grpc.pb.h"

namespace cmkstore::cli {
namespace {

struct KeyFlags {
  std::string hub, vault_key, identity;
  bool no_wait = false;
};

std::string SideText(const v1::VaultOutage& outage) {
  switch (outage.side()) {
    case v1::VaultOutage::THIS_VAULT: return "this vault, or its own network rules";
    case v1::VaultOutage::VAULT_SERVICE:
      return absl::StrCat("the vault service: it answers, with errors, for ",
                          outage.other_vaults_erring(), " of ", outage.other_vaults_failing(),
                          " other vaults");
    case v1::VaultOutage::OUR_NETWORK: return "the server's network";
    case v1::VaultOutage::OUR_LOGIN: return "the server's own login";
    default: return "not to be told: no other vault was called lately";
  }
}

void ShowOutage(const v1::VaultOutage& outage, Table& table) {
  table.Add({"outage", absl::StrCat(outage.cause(), ", since ", TimeText(outage.since_time()))});
  table.Add({"looks like", SideText(outage)});
  table.Add(
      {"other vaults", absl::StrCat(outage.other_vaults_answering(), " answer, ",
                                    outage.other_vaults_erring(), " answer with errors, ",
                                    outage.other_vaults_failing() - outage.other_vaults_erring(),
                                    " do not answer")});
}

// By the clock here: good enough for a person.
std::string RefusalText(const v1::KeyStatus& status) {
  if (!status.has_refuse_after_time()) return "";
  const bool refuses = status.refuse_after_time().seconds() <= absl::ToUnixSeconds(absl::Now());
  return absl::StrCat(TimeText(status.refuse_after_time()),
                      refuses ? ": content is refused now" : "");
}

void ShowStatus(const v1::KeyStatus& status) {
  {
    Table table;
    const auto add = [&table](const char* field, const std::string& value) {
      if (!value.empty()) table.Add({field, value});
    };
    add("hub", ShortName(status.name().substr(0, status.name().rfind('/'))));
    add("availability", v1::KeyStatus::Availability_Name(status.availability()));
    add("cause", status.cause());
    add("key", KeyText(status.encryption()));
    add("since", TimeText(status.state_since_time()));
    if (status.has_outage()) ShowOutage(status.outage(), table);
    add("last unwrap", TimeText(status.last_success_time()));
    add("refuses after", RefusalText(status));
    if (status.has_last_receipt()) {
      const v1::RevocationReceipt& receipt = status.last_receipt();
      add("last lock", absl::StrCat(TimeText(receipt.lock_time()), ", ", receipt.keys_wiped(),
                                    " keys wiped", receipt.index_closed() ? ", index closed" : "",
                                    receipt.by_push() ? ", by push" : ""));
      add("its cause", receipt.cause());
    }
  }
  std::printf("\n");
  Table generations({"GENERATION", "SEALS", "STATE", "CREATED", "ALGORITHM", "WRAPPED BY"});
  for (const v1::DekGeneration& one : status.generations()) {
    generations.Add({absl::StrCat(one.generation()), one.seals() ? "yes" : "no",
                     v1::KeyStatus::Availability_Name(one.availability()),
                     TimeText(one.create_time()), one.algorithm(), one.kek_id()});
  }
}

int Finish(const Invocation& invocation, const grpc::Status& result, const v1::KeyStatus& status) {
  if (result.ok() && invocation.json) PrintJson(status);
  if (result.ok() && !invocation.json) ShowStatus(status);
  return Report(result, invocation.style());
}

template <typename Request>
int Ask(const Invocation& invocation, const Connection& connection, const std::string& hub,
        const char* suffix,
        grpc::Status (v1::KeyService::Stub::*method)(grpc::ClientContext*, const Request&,
                                                     v1::KeyStatus*)) {
  const auto name = FullName(connection.tenant(), hub, Depth::kHub);
  if (!name.ok()) return ReportUsage(name.status(), invocation.style());
  Request request;
  request.set_name(absl::StrCat(*name, suffix));
  v1::KeyStatus status;
  const auto stub = v1::KeyService::NewStub(connection.channel());
  const grpc::Status result = (stub.get()->*method)(connection.NewCall().get(), request, &status);
  return Finish(invocation, result, status);
}

const char* Mark(v1::KeyCheck::Result result) {
  switch (result) {
    case v1::KeyCheck::PASSED: return "[ok]";
    case v1::KeyCheck::FAILED: return "[FAILED]";
    case v1::KeyCheck::WARNING: return "[look]";
    default: return "[not tried]";
  }
}

void ShowChecks(const v1::CheckKeyResponse& response) {
  Table table({"", "CHECK", "FOUND", "NEEDED"});
  for (const v1::KeyCheck& check : response.checks()) {
    table.Add({Mark(check.result()), check.check(), check.found(), check.needed()});
  }
  table.Flush();
  bool first = true;
  for (const v1::KeyCheck& check : response.checks()) {
    if (check.remedy().empty()) continue;
    std::printf("%s  %s: %s\n", first ? "\nTo do:\n" : "", Printable(check.check()).c_str(),
                Printable(check.remedy()).c_str());
    first = false;
  }
  std::printf("\n%s\n", response.passed() ? "The key can be used."
                                          : "The key cannot be used by a hub as it is.");
}

int Check(const Invocation& invocation, const Connection& connection, const KeyFlags& flags) {
  v1::CheckKeyRequest request;
  if (flags.vault_key.empty()) {
    const auto name = FullName(connection.tenant(), flags.hub, Depth::kHub);
    if (!name.ok()) return ReportUsage(name.status(), invocation.style());
    request.set_parent(*name);
  } else {
    const auto tenant = TenantName(connection.tenant());
    if (!tenant.ok()) return ReportUsage(tenant.status(), invocation.style());
    request.set_parent(*tenant);
    const auto key = ParseVaultKey(flags.vault_key);
    if (!key.ok()) return ReportUsage(key.status(), invocation.style());
    *request.mutable_key() = *key;
  }
  if (!flags.identity.empty()) request.mutable_key()->set_identity(flags.identity);
  v1::CheckKeyResponse response;
  const auto stub = v1::KeyService::NewStub(connection.channel());
  const grpc::Status status = stub->CheckKey(connection.NewCall().get(), request, &response);
  if (!status.ok()) return Report(status, invocation.style());
  if (invocation.json) {
    PrintJson(response);
  } else {
    ShowChecks(response);
  }
  return response.passed() ? kOk : kKeyRefused;
}

int Rotate(const Invocation& invocation, const Connection& connection, const KeyFlags& flags) {
  const auto name = FullName(connection.tenant(), flags.hub, Depth::kHub);
  if (!name.ok()) return ReportUsage(name.status(), invocation.style());
  v1::RotateDekRequest request;
  request.set_name(*name);
  google::longrunning::Operation operation;
  const auto stub = v1::KeyService::NewStub(connection.channel());
  const grpc::Status started = stub->RotateDek(connection.NewCall().get(), request, &operation);
  return FinishOperation<v1::RotateDekResult>(
      invocation, connection, flags.no_wait ? Waits::kNo : Waits::kYes, started, operation,
      [&invocation](const v1::RotateDekResult& result) -> int {
        const v1::DekGeneration& generation = result.generation();
        if (!invocation.json) {
          std::printf(
              "generation %u seals from now on, wrapped by %s; older generations only open\n",
              generation.generation(), Printable(generation.kek_id()).c_str());
        }
        return kOk;
      });
}

}  // namespace

void AddKeyCommands(CLI::App& app, Invocation& invocation) {
  const auto flags = std::make_shared<KeyFlags>();
  CLI::App* key =
      app.add_subcommand("key", "Show, check, forecast, lock, unlock and rotate a hub's key");
  key->require_subcommand(1);
  key->footer("\nExamples:\n  cmkctl key status h1\n  cmkctl key check h1");
  const auto add = [&](const char* verb, const char* what, const char* examples, Body body) {
    CLI::App* command = key->add_subcommand(verb, what);
    command->footer(std::string("\nExamples:\n") + examples);
    OnRun(command, invocation, std::move(body));
    return command;
  };
  const auto hub = [&flags](CLI::App* command) {
    return command->add_option("HUB", flags->hub)->required();
  };
  hub(add("status", "Whether the key can be used, what wraps, and the last lock",
          "  cmkctl key status h1", [&invocation, flags](const Connection& connection) {
            return Ask(invocation, connection, flags->hub, "/key",
                       &v1::KeyService::Stub::GetKeyStatus);
          }));
  CLI::App* check =
      add("check", "Try a vault key in every way a hub needs; changes nothing",
          "  cmkctl key check h1\n"
          "  cmkctl key check --vault-key https://contoso.vault.azure.net/keys/k1   before there "
          "is a hub\n"
          "Exit code 6 if a check fails.",
          [&invocation, flags](const Connection& connection) {
            return Check(invocation, connection, *flags);
          });
  CLI::Option* name = check->add_option("HUB", flags->hub, "Whose key");
  check->add_option("--vault-key", flags->vault_key, "A key that no hub uses yet")->excludes(name);
  check->add_option("--identity", flags->identity, "Which of the server's identities to use");
  hub(add("lock", "Wipe the hub's keys at once and refuse its content",
          "  cmkctl key lock h1      in force when it returns; survives restarts",
          [&invocation, flags](const Connection& connection) {
            return Ask(invocation, connection, flags->hub, "", &v1::KeyService::Stub::LockHub);
          }));
  hub(add("unlock", "Take back a lock", "  cmkctl key unlock h1",
          [&invocation, flags](const Connection& connection) {
            return Ask(invocation, connection, flags->hub, "", &v1::KeyService::Stub::UnlockHub);
          }));
  CLI::App* rotate =
      add("rotate", "Make a new data key; new writes are sealed under it",
          "  cmkctl key rotate h1              waits until it is done\n"
          "  cmkctl key rotate h1 --no-wait    then: cmkctl operations wait HUB/OPERATION\n"
          "The new data key is wrapped by the newest version of the vault key. No document is "
          "rewritten.",
          [&invocation, flags](const Connection& connection) {
            return Rotate(invocation, connection, *flags);
          });
  hub(rotate);
  rotate->add_flag("--no-wait", flags->no_wait, "Only start it");
  AddForecastCommand(*key, invocation);
}

}  // namespace cmkstore::cli
