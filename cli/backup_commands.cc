#include <memory>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "cli/commands.h"
#include "cli/list_printer.h"
#include "cli/operation_wait.h"
#include "cli/output.h"
#include "cli/paging.h"
#include "cli/resource_names.h"
#include "cli/table.h"
#include "cmkstore/v1/admin_service.grpc.pb.h"

namespace cmkstore::cli {
namespace {

using google::longrunning::Operation;
using v1::AdminService;

struct BackupFlags {
  std::string backup;
  bool no_wait = false;

  Waits waits() const { return no_wait ? Waits::kNo : Waits::kYes; }
};

constexpr char kBackups[] = "backups/";

// A backup's id, or its full name.
std::string BackupName(const std::string& given) {
  return absl::StartsWith(given, kBackups) ? given : kBackups + given;
}

std::string MebibytesText(uint64_t bytes) {
  return absl::StrCat((bytes + (1u << 20) - 1) >> 20, " MiB");
}

void ShowBackup(const v1::Backup& backup) {
  Table table;
  table.Add({"backup", LastPart(backup.name())});
  table.Add({"as of", TimeText(backup.create_time())});
  table.Add({"size", absl::StrCat(MebibytesText(backup.size_bytes()), " in ", backup.files(),
                                  " files, of which new ", MebibytesText(backup.new_bytes()))});
  table.Add({"hubs", absl::StrCat(backup.hubs())});
  if (backup.platform_managed_hubs() > 0) {
    table.Add(
        {"platform.key", absl::StrCat("needed by ", backup.platform_managed_hubs(), " hubs")});
  }
  table.Add({"shards", absl::StrCat(backup.shards())});
  if (!backup.of_this_store()) table.Add({"taken by", "another server: `keep` does not count it"});
  for (const v1::BackupKeyVersion& key : backup.keys()) {
    table.Add({"needs key", absl::StrCat(key.kek_id(), "  (", key.hubs(), " hubs of tenant ",
                                         key.tenant(), ")")});
  }
}

int Create(const Invocation& invocation, const Connection& connection, const BackupFlags& flags) {
  const auto stub = AdminService::NewStub(connection.channel());
  Operation operation;
  const grpc::Status started =
      stub->Backup(connection.NewCall().get(), v1::BackupRequest(), &operation);
  const auto show = [&](const v1::Backup& made) -> int {
    if (invocation.json) return kOk;
    v1::GetBackupRequest request;  // also for the keys, which no operation has
    request.set_name(made.name());
    v1::Backup backup;
    const grpc::Status status = stub->GetBackup(connection.NewCall().get(), request, &backup);
    // One that cannot be shown is made all the same.
    ShowBackup(status.ok() ? backup : made);
    return kOk;
  };
  return FinishOperation<v1::Backup>(invocation, connection, flags.waits(), started, operation,
                                     show);
}

int List(const Invocation& invocation, const Connection& connection, const BackupFlags& /*flags*/) {
  const auto stub = AdminService::NewStub(connection.channel());
  ListPrinter<v1::Backup> printer(
      invocation, {"BACKUP", "AS OF", "SIZE", "NEW", "HUBS", "TAKEN BY"},
      [](const v1::Backup& one) {
        if (!one.has_create_time()) {
          return std::vector<std::string>{
              LastPart(one.name()), "damaged: its manifest does not read", "", "", "", ""};
        }
        return std::vector<std::string>{LastPart(one.name()),
                                        TimeText(one.create_time()),
                                        MebibytesText(one.size_bytes()),
                                        MebibytesText(one.new_bytes()),
                                        absl::StrCat(one.hubs()),
                                        one.of_this_store() ? "this server" : "another"};
      });
  return printer.Finish(ForEachPage(
      connection, *stub, &AdminService::Stub::ListBackups, v1::ListBackupsRequest(),
      [&printer](const v1::ListBackupsResponse& page) { printer.AddAll(page.backups()); }));
}

int Show(const Invocation& invocation, const Connection& connection, const BackupFlags& flags) {
  const auto stub = AdminService::NewStub(connection.channel());
  v1::GetBackupRequest request;
  request.set_name(BackupName(flags.backup));
  v1::Backup backup;
  const grpc::Status status = stub->GetBackup(connection.NewCall().get(), request, &backup);
  if (status.ok()) invocation.json ? PrintJson(backup) : ShowBackup(backup);
  return Report(status, invocation.style());
}

int Delete(const Invocation& invocation, const Connection& connection, const BackupFlags& flags) {
  const auto stub = AdminService::NewStub(connection.channel());
  v1::DeleteBackupRequest request;
  request.set_name(BackupName(flags.backup));
  google::protobuf::Empty nothing;
  return Report(stub->DeleteBackup(connection.NewCall().get(), request, &nothing),
                invocation.style());
}

int Restore(const Invocation& invocation, const Connection& connection, const BackupFlags& flags) {
  const auto stub = AdminService::NewStub(connection.channel());
  v1::RestoreRequest request;
  request.set_name(BackupName(flags.backup));
  Operation operation;
  const grpc::Status started = stub->Restore(connection.NewCall().get(), request, &operation);
  return FinishOperation<v1::RestoreResult>(
      invocation, connection, flags.waits(), started, operation,
      [&invocation](const v1::RestoreResult& result) -> int {
        if (invocation.json) return kOk;
        std::printf("%llu hubs are back; their search indexes are being built\n",
                    static_cast<unsigned long long>(result.hubs()));
        if (result.purged_hubs() > 0) {
          std::printf("%llu hubs were purged since and stay so\n",
                      static_cast<unsigned long long>(result.purged_hubs()));
        }
        return kOk;
      });
}

// `backup`: the one whose files were compared; empty: the server's own data was looked at.
int ShowFindings(const Invocation& invocation, const std::string& backup,
                 const v1::VerifyIntegrityResult& result) {
  const int exit_code = result.finding_count() == 0 ? kOk : kCorrupt;
  if (invocation.json) return exit_code;
  if (!backup.empty()) {
    std::printf("%llu files of %s, with %llu hubs, were read and compared with their checksums\n",
                static_cast<unsigned long long>(result.files()), BackupName(backup).c_str(),
                static_cast<unsigned long long>(result.hubs()));
  } else {
    std::printf("%llu files, %llu rows of %llu hubs, %llu documents, %llu feed entries\n",
                static_cast<unsigned long long>(result.files()),
                static_cast<unsigned long long>(result.rows()),
                static_cast<unsigned long long>(result.hubs()),
                static_cast<unsigned long long>(result.documents()),
                static_cast<unsigned long long>(result.feed_records()));
    std::printf("%llu search indexes, by what their files tell without keys; %llu not built yet\n",
                static_cast<unsigned long long>(result.indexes()),
                static_cast<unsigned long long>(result.unbuilt_indexes()));
  }
  if (exit_code == kOk) {
    std::puts("all is as it must be");
    return exit_code;
  }
  if (result.skipped_bytes() > 0) {
    std::printf("about %llu KiB could not be read, and were not looked at\n",
                static_cast<unsigned long long>(result.skipped_bytes() / 1024 + 1));
  }
  std::printf("%llu findings:\n", static_cast<unsigned long long>(result.finding_count()));
  Table table({"SHARD", "HUB", "HUB UID", "WHAT"});
  for (const v1::IntegrityFinding& one : result.findings()) {
    table.Add({absl::StrCat(one.shard()), one.hub(), one.hub_uid(), one.what()});
  }
  return exit_code;
}

int Verify(const Invocation& invocation, const Connection& connection, const BackupFlags& flags) {
  const auto stub = AdminService::NewStub(connection.channel());
  v1::VerifyIntegrityRequest request;
  if (!flags.backup.empty()) request.set_backup(BackupName(flags.backup));
  Operation operation;
  const grpc::Status started =
      stub->VerifyIntegrity(connection.NewCall().get(), request, &operation);
  return FinishOperation<v1::VerifyIntegrityResult>(
      invocation, connection, flags.waits(), started, operation,
      [&invocation, &flags](const v1::VerifyIntegrityResult& result) {
        return ShowFindings(invocation, flags.backup, result);
      });
}

}  // namespace

void AddBackupCommands(CLI::App& app, Invocation& invocation) {
  const auto flags = std::make_shared<BackupFlags>();
  using Run = int (*)(const Invocation&, const Connection&, const BackupFlags&);
  const auto add = [&](CLI::App* parent, const char* verb, const char* what, const char* examples,
                       Run run) {
    CLI::App* command = parent->add_subcommand(verb, what);
    command->footer(std::string("\nExamples:\n") + examples);
    OnRun(command, invocation, [&invocation, flags, run](const Connection& connection) {
      return run(invocation, connection, *flags);
    });
    return command;
  };
  const auto waits = [&flags](CLI::App* command) {
    command->add_flag("--no-wait", flags->no_wait, "Only start it");
    return command;
  };
  CLI::App* backup = app.add_subcommand("backup", "Back up everything; for the server's operators");
  backup->require_subcommand(1);
  backup->footer("\nExamples:\n  cmkctl backup create\n  cmkctl backup list");
  waits(add(backup, "create",
            "Copy all shards, as they are now, into the server's backup directory",
            "  cmkctl backup create              waits until it is written and verified\n"
            "  cmkctl backup create --no-wait    then: cmkctl operations wait "
            "server/operations/OPERATION",
            Create));
  add(backup, "list", "List the backups there are, newest first", "  cmkctl backup list", List);
  add(backup, "show", "Show a backup and the key versions that it needs",
      "  cmkctl backup show 20261125T134500.123456Z", Show)
      ->add_option("BACKUP", flags->backup)
      ->required();
  add(backup, "delete", "Delete a backup; nothing brings it back",
      "  cmkctl backup delete 20261125T134500.123456Z\n"
      "Of those of this server the oldest go by themselves (`backup.keep` of its configuration).",
      Delete)
      ->add_option("BACKUP", flags->backup)
      ->required();
  waits(add(&app, "restore", "Bring a backup into this server, which must have no hubs",
            "  cmkctl restore 20261125T134500.123456Z\n"
            "A server that does not run yet: cmkstored --config FILE --restore BACKUP",
            Restore))
      ->add_option("BACKUP", flags->backup)
      ->required();
  waits(add(&app, "verify", "Look at everything that is stored, without opening a document",
            "  cmkctl verify\n"
            "  cmkctl verify --backup 20261125T134500.123456Z    looks at a backup instead\n"
            "Exit code 8 if anything is not as it must be.",
            Verify))
      ->add_option("--backup", flags->backup, "Look at this backup instead");
}

}  // namespace cmkstore::cli
