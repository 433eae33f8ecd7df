// cmkctl: the command line for operators and tenants.

#include <google/protobuf/util/json_util.h>

#include <cstdio>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "cli/commands.h"
#include "cli/failure.h"

namespace cmkstore::cli {

std::string FullName(const ConnectionOptions& options, const std::string& name) {
  if (absl::StartsWith(name, "tenants/")) return name;
  constexpr const char* kKinds[] = {"hubs", "projects", "collections", "documents"};
  std::string full = absl::StrCat("tenants/", options.tenant);
  const std::vector<std::string> parts = absl::StrSplit(name, '/');
  for (size_t i = 0; i < parts.size() && i < 4; ++i) {
    absl::StrAppend(&full, "/", kKinds[i], "/", parts[i]);
  }
  return full;
}

int WithConnection(const ConnectionOptions& options,
                   const std::function<int(const Connection&)>& body) {
  const absl::StatusOr<Connection> connection = Connection::Open(options);
  if (!connection.ok()) {
    std::fprintf(stderr, "cmkctl: %s\n", std::string(connection.status().message()).c_str());
    return kUsage;
  }
  return body(*connection);
}

void PrintJson(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions print;
  print.add_whitespace = true;
  std::string text;
  (void)google::protobuf::util::MessageToJsonString(message, &text, print);
  std::fputs(text.c_str(), stdout);
}

}  // namespace cmkstore::cli

int main(int argc, char** argv) {
  using namespace cmkstore::cli;
  ConnectionOptions options;
  int exit_code = kOk;
  CLI::App app(
      "cmkctl: hubs, keys and documents of a cmkstore server.\n\n"
      "  cmkctl hub create h1 --vault-key https://contoso.vault.azure.net/keys/k1\n"
      "  cmkctl project create h1/p1\n"
      "  echo '{\"f1\": 0.93}' | cmkctl put h1/p1/evaluations/run-7 --label team=retail\n"
      "  cmkctl get h1/p1/evaluations/run-7\n"
      "  cmkctl key lock h1\n\n"
      "Names: HUB, HUB/PROJECT, HUB/PROJECT/COLLECTION, HUB/PROJECT/COLLECTION/ID, or full.\n"
      "Exit codes: 0 ok, 1 unexpected, 2 usage, 3 not found, 4 denied, 5 conflict, 6 key refused or\n"
      "hub locked, 7 unavailable, 8 corrupt, 9 invalid input.");
  app.add_option("--endpoint", options.endpoint, "HOST:PORT of the server")
      ->envname("CMKSTORE_ENDPOINT");
  app.add_option("--ca", options.ca, "PEM CA of the server; without it plaintext")
      ->envname("CMKSTORE_CA");
  app.add_option("--cert", options.cert, "PEM client certificate")->envname("CMKSTORE_CERT");
  app.add_option("--key", options.key, "PEM key of the client certificate")
      ->envname("CMKSTORE_KEY");
  app.add_option("--token-file", options.token_file, "File with the bearer token")
      ->envname("CMKSTORE_TOKEN_FILE");
  app.add_option("--tenant", options.tenant, "Tenant id")->envname("CMKSTORE_TENANT");
  app.add_flag("--json", options.json, "Answers as JSON");
  app.require_subcommand(1);
  app.fallthrough();
  AddHubCommands(app, options, exit_code);
  AddDocumentCommands(app, options, exit_code);
  AddKeyCommands(app, options, exit_code);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? kOk : kUsage;
  }
  return exit_code;
}
