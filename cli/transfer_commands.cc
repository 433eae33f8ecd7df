#include <memory>

#include "base/ids.h"
#include "cli/commands.h"
#include "cli/export.h"
#include "cli/import.h"
#include "cli/resource_names.h"

namespace cmkstore::cli {
namespace {

void AddImport(CLI::App& app, Invocation& invocation) {
  const auto flags = std::make_shared<ImportOptions>();
  CLI::App* import = app.add_subcommand("import", "Store the documents of a file of JSON lines");
  import->footer(
      "\nExamples:\n"
      "  cmkctl import h1 documents.jsonl --project retail\n"
      "  cmkctl import h2 backup.jsonl --create-projects     what `cmkctl export h1` wrote\n"
      "  cmkctl export h1 | cmkctl import h2 - --create-projects\n"
      "A line: {\"collection\": \"flows\", \"id\": \"f1\", \"labels\": {\"team\": \"retail\"}, "
      "\"content\": {...}}\n"
      "Bad lines are reported with their number and the rest is imported (exit code 9 then).\n"
      "An interrupted import goes on where it was: run the same command again. How far it came "
      "stands\nin FILE.cmkctl-import until it is done. A document that is there already is "
      "replaced.");
  import->add_option("HUB", flags->hub)->required();
  import->add_option("FILE", flags->file, "- is standard input")->required();
  import->add_option("--project", flags->project,
                     "Project of all lines; without it each line's own, else \"default\"");
  import->add_flag("--create-projects", flags->create_projects, "Make projects that do not exist");
  import->add_flag("--restart", flags->restart, "Begin anew after an interrupted import");
  OnRun(import, invocation, [&invocation, flags](const Connection& connection) -> int {
    const auto hub = FullName(connection.tenant(), flags->hub, Depth::kHub);
    if (!hub.ok()) return ReportUsage(hub.status(), invocation.style());
    const absl::Status project =
        flags->project.empty() ? absl::OkStatus() : CheckId("--project", flags->project);
    if (!project.ok()) return ReportUsage(project, invocation.style());
    ImportOptions options = *flags;
    options.hub = *hub;
    return Import(invocation, connection, options);
  });
}

struct ExportFlags {
  std::string parent, output;
};

void AddExport(CLI::App& app, Invocation& invocation) {
  const auto flags = std::make_shared<ExportFlags>();
  CLI::App* command = app.add_subcommand("export", "Write documents as JSON lines for import");
  command->footer(
      "\nExamples:\n"
      "  cmkctl export h1 --output h1.jsonl\n"
      "  cmkctl export h1/retail/flows | jq -r .id\n"
      "Content, content types and labels come back byte by byte. Not a snapshot: what changes "
      "meanwhile\nis written as it is then. What is stored and does not open is left out: the end "
      "says how much\n(exit code 8 then).");
  command->add_option("PARENT", flags->parent, "HUB, HUB/PROJECT or HUB/PROJECT/COLLECTION")
      ->required();
  command->add_option("--output,-o", flags->output, "Write to this file");
  OnRun(command, invocation, [&invocation, flags](const Connection& connection) -> int {
    const auto parent =
        FullName(connection.tenant(), flags->parent, Depth::kHub, Depth::kCollection);
    if (!parent.ok()) return ReportUsage(parent.status(), invocation.style());
    return Export(invocation, connection, *parent, flags->output);
  });
}

}  // namespace

void AddTransferCommands(CLI::App& app, Invocation& invocation) {
  AddImport(app, invocation);
  AddExport(app, invocation);
}

}  // namespace cmkstore::cli
