#include "absl/strings/str_cat.h"
#include "base/build_info.h"
#include "base/command_line.h"
#include "cli/commands.h"

namespace cmkstore::cli {
namespace {

constexpr char kAbout[] =
    "cmkctl: hubs, keys and documents of a cmkstore server.\n\n"
    "  cmkctl hub create h1 --vault-key https://contoso.vault.azure.net/keys/k1\n"
    "  cmkctl project create h1/p1\n"
    "  echo '{\"f1\": 0.93}' | cmkctl put h1/p1/evaluations/run-7 --label team=retail\n"
    "  cmkctl get h1/p1/evaluations/run-7\n"
    "  cmkctl search h1 'run f1' --facet labels.team\n"
    "  cmkctl key lock h1\n\n"
    "Names: HUB, HUB/PROJECT, HUB/PROJECT/COLLECTION, HUB/PROJECT/COLLECTION/ID, or full\n"
    "(tenants/TENANT/hubs/HUB/...).";

constexpr char kFooter[] =
    "\nConnection: a flag, else its environment variable, else the profile: a section of\n"
    "~/.config/cmkstore/profiles.ini (or of the file in CMKSTORE_CONFIG), [default] without "
    "--profile.\n\n"
    "Exit codes: 0 ok, 1 unexpected, 2 usage, 3 not found, 4 not allowed, 5 conflict (exists, has\n"
    "changed, or is in the wrong state), 6 key refused or hub locked, 7 unavailable or too slow,\n"
    "8 stored data is damaged, 9 invalid input (also: an import with bad lines).\n\n"
    "`cmkctl COMMAND --help` has examples of each command; docs/cli.md has it all.";

}  // namespace

std::unique_ptr<CLI::App> MakeApp(Invocation& invocation) {
  auto made = std::make_unique<CLI::App>(kAbout, "cmkctl");
  CLI::App& app = *made;
  ConnectionOptions& options = invocation.connection;
  app.footer(kFooter);
  app.set_version_flag("--version",
                       absl::StrCat("cmkctl " CMKSTORE_VERSION " (", BuildRevision(), ")"),
                       "Print the version, and end");
  app.add_option("--profile", options.profile, "Section of the profile file")
      ->envname("CMKSTORE_PROFILE");
  app.add_option("--config", options.profile_file, "Profile file")->envname("CMKSTORE_CONFIG");
  app.add_option("--endpoint", options.endpoint, "HOST:PORT of the server")
      ->envname("CMKSTORE_ENDPOINT");
  app.add_option("--ca", options.ca,
                 "PEM CA of the server; default: the system's, and no TLS to this machine itself")
      ->envname("CMKSTORE_CA");
  app.add_option("--cert", options.cert, "PEM client certificate")->envname("CMKSTORE_CERT");
  app.add_option("--key", options.key, "PEM key of the client certificate")
      ->envname("CMKSTORE_KEY");
  app.add_option("--token-file", options.token_file, "File with the bearer token")
      ->envname("CMKSTORE_TOKEN_FILE");
  app.add_option("--tenant", options.tenant, "Tenant id; default: the token's")
      ->envname("CMKSTORE_TENANT");
  app.add_option("--timeout", options.timeout,
                 "How long one call may take (default 30s); watch, and what waits for an "
                 "operation: how long to go on (default: no end)")
      ->envname("CMKSTORE_TIMEOUT");
  app.add_flag("--json", invocation.json, "JSON for programs: one object a line, errors too");
  app.require_subcommand(1);
  app.fallthrough();
  AddHubCommands(app, invocation);
  AddProjectCommands(app, invocation);
  AddDocumentCommands(app, invocation);
  AddTransferCommands(app, invocation);
  AddSearchCommand(app, invocation);
  AddIndexCommands(app, invocation);
  AddKeyCommands(app, invocation);
  AddCoverageCommand(app, invocation);
  AddUsageCommands(app, invocation);
  AddWatchCommand(app, invocation);
  AddStatusCommand(app, invocation);
  AddOperationCommands(app, invocation);
  AddBackupCommands(app, invocation);
  AddCompletionCommand(app, invocation);
  // No name for people, the identity without a name, the first page, all documents.
  RefuseEmptyValues(app, {"--display-name", "--identity", "--page-token", "QUERY"});
  return made;
}

}  // namespace cmkstore::cli
