#include <memory>

#include "absl/strings/str_cat.h"
#include "cli/commands.h"
#include "cli/coverage_page.h"
#include "cli/coverage_words.h"
#include "cli/output.h"
#include "cli/output_file.h"
#include "cli/printable.h"
#include "cli/resource_names.h"
#include "cli/table.h"
#include "cli/vault_key_url.h"
#include "cmkstore/v1/key_service.grpc.pb.h"

namespace cmkstore::cli {
namespace {

struct CoverageFlags {
  std::string hub, html;
};

void ShowSection(const v1::EncryptionCoverage& coverage, CoverageSection section,
                 const char* heading) {
  std::printf("\n%s\n", heading);
  const bool keyed = section == CoverageSection::kUnderTheKey;
  Table table(keyed ? std::vector<std::string>{"CLASS", "HOW", "UNDER WHICH KEY", "SINCE", "WHAT"}
                    : std::vector<std::string>{"CLASS", "WHAT"});
  for (const v1::CoverageEntry& entry : coverage.entries()) {
    if (SectionOf(entry) != section) continue;
    if (keyed) {
      table.Add({entry.id(), std::string(ProtectionText(entry)), entry.key(),
                 TimeText(entry.since_time()).substr(0, 10), entry.what()});
    } else {
      table.Add({entry.id(), entry.what()});
    }
  }
}

void Show(const v1::EncryptionCoverage& coverage) {
  {
    Table table;
    table.Add({"hub", ShortName(coverage.name().substr(0, coverage.name().rfind('/')))});
    if (!coverage.display_name().empty()) table.Add({"display name", coverage.display_name()});
    table.Add({"state", v1::Hub::State_Name(coverage.hub_state())});
    table.Add({"key", KeyText(coverage.encryption())});
    for (const v1::CoverageKey& key : coverage.keys()) {
      table.Add({absl::StrCat("data key ", key.generation()),
                 absl::StrCat(key.seals() ? "seals" : "opens", " since ",
                              TimeText(key.create_time()), ", wrapped by ", key.wrapped_by())});
    }
    table.Add({"server", coverage.server_version()});
  }
  std::printf("\n%s\n", Printable(CoverageStatement(coverage)).c_str());
  ShowSection(coverage, CoverageSection::kUnderTheKey, "Under the hub's key");
  ShowSection(coverage, CoverageSection::kReadable, "Readable without the key");
  ShowSection(coverage, CoverageSection::kNothingOfTheCustomer, "Holds nothing of the customer");
  std::printf("\nResources that the hub's key does not reach\n");
  Table table({"RESOURCE", "UNDER WHICH KEY"});
  for (const v1::ResourceOutsideCoverage& one : coverage.resources_outside()) {
    table.Add({one.resource(), one.key()});
  }
}

int Coverage(const Invocation& invocation, const Connection& connection,
             const CoverageFlags& flags) {
  const auto name = FullName(connection.tenant(), flags.hub, Depth::kHub);
  if (!name.ok()) return ReportUsage(name.status(), invocation.style());
  v1::GetEncryptionCoverageRequest request;
  request.set_name(absl::StrCat(*name, "/encryptionCoverage"));
  v1::EncryptionCoverage coverage;
  const auto stub = v1::KeyService::NewStub(connection.channel());
  const grpc::Status status =
      stub->GetEncryptionCoverage(connection.NewCall().get(), request, &coverage);
  if (!status.ok()) return Report(status, invocation.style());
  if (!flags.html.empty()) {
    const absl::Status written = WriteOutputFile(flags.html, CoveragePage(coverage));
    if (!written.ok()) return ReportUsage(written, invocation.style());
  }
  if (invocation.json) {
    PrintJson(coverage);
  } else if (flags.html.empty()) {
    Show(coverage);
  } else {
    std::fprintf(stderr, "report written to %s\n", Printable(flags.html).c_str());
  }
  return kOk;
}

}  // namespace

void AddCoverageCommand(CLI::App& app, Invocation& invocation) {
  CLI::App* command =
      app.add_subcommand("coverage", "Which stored bytes are under a hub's key, and which are not");
  command->footer(
      "\nExamples:\n"
      "  cmkctl coverage h1\n"
      "  cmkctl coverage h1 --html h1-coverage.html     one page to print, sign and file\n"
      "  cmkctl coverage h1 --json | jq '.entries[] | select(.protection == \"READABLE\") | "
      ".what'\n"
      "Works while the hub is locked or its vault does not answer. docs/coverage.md explains it.");
  const auto flags = std::make_shared<CoverageFlags>();
  command->add_option("HUB", flags->hub)->required();
  command->add_option("--html", flags->html, "Write the report to this file instead");
  OnRun(command, invocation, [&invocation, flags](const Connection& connection) {
    return Coverage(invocation, connection, *flags);
  });
}

}  // namespace cmkstore::cli
