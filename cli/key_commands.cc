#include <cstdio>

#include "absl/strings/str_cat.h"
#include "cli/commands.h"
#include "cli/failure.h"
#include "cmkstore/v1/key_service.grpc.pb.h"

namespace cmkstore::cli {
namespace {

int PrintStatus(const ConnectionOptions& options, const grpc::Status& result,
                const v1::KeyStatus& status) {
  if (!result.ok()) return Report(result);
  if (options.json) {
    PrintJson(status);
    return kOk;
  }
  std::printf("%s  %s  %s\n", status.name().c_str(),
              v1::KeyStatus::Availability_Name(status.availability()).c_str(),
              status.cause().c_str());
  for (const v1::DekGeneration& generation : status.generations()) {
    std::printf("  generation %u  %s%s\n", generation.generation(), generation.kek_id().c_str(),
                generation.seals() ? "  seals" : "");
  }
  return kOk;
}

int GetStatus(const ConnectionOptions& options, const std::string& hub) {
  return WithConnection(options, [&](const Connection& connection) {
    v1::GetKeyStatusRequest request;
    request.set_name(absl::StrCat(FullName(options, hub), "/key"));
    v1::KeyStatus status;
    const grpc::Status result = v1::KeyService::NewStub(connection.channel())
                                    ->GetKeyStatus(connection.NewCall().get(), request, &status);
    return PrintStatus(options, result, status);
  });
}

template <typename Request>
int Switch(const ConnectionOptions& options, const std::string& hub,
           grpc::Status (v1::KeyService::Stub::*method)(grpc::ClientContext*, const Request&,
                                                        v1::KeyStatus*)) {
  return WithConnection(options, [&](const Connection& connection) {
    Request request;
    request.set_name(FullName(options, hub));
    v1::KeyStatus status;
    const auto stub = v1::KeyService::NewStub(connection.channel());
    const grpc::Status result = (stub.get()->*method)(connection.NewCall().get(), request, &status);
    return PrintStatus(options, result, status);
  });
}

int Check(const ConnectionOptions& options, const std::string& hub) {
  return WithConnection(options, [&](const Connection& connection) -> int {
    v1::CheckKeyRequest request;
    request.set_parent(FullName(options, hub));
    v1::CheckKeyResponse response;
    const grpc::Status result = v1::KeyService::NewStub(connection.channel())
                                    ->CheckKey(connection.NewCall().get(), request, &response);
    if (!result.ok()) return Report(result);
    if (options.json) PrintJson(response);
    for (const v1::KeyCheck& check : response.checks()) {
      if (options.json) break;
      const bool passed = check.result() == v1::KeyCheck::PASSED;
      std::printf("%-8s %-18s %s\n", v1::KeyCheck::Result_Name(check.result()).c_str(),
                  check.check().c_str(), check.found().c_str());
      if (!passed && !check.needed().empty()) {
        std::printf("         needed: %s; %s\n", check.needed().c_str(), check.remedy().c_str());
      }
    }
    return response.passed() ? kOk : kKeyRefused;
  });
}

}  // namespace

void AddKeyCommands(CLI::App& app, ConnectionOptions& options, int& exit_code) {
  const auto hub = std::make_shared<std::string>();
  CLI::App* key =
      app.add_subcommand("key", "Show, check, lock, unlock a hub's key")->require_subcommand(1);
  const auto add = [&](const char* verb, const char* help, std::function<int()> run) {
    CLI::App* command = key->add_subcommand(verb, help);
    command->add_option("HUB", *hub)->required();
    command->callback([&exit_code, run = std::move(run), hub] { exit_code = run(); });
  };
  add("status", "Whether the key can be used, and which versions wrap",
      [&, hub] { return GetStatus(options, *hub); });
  add("check", "Try the vault key in every way a hub needs it",
      [&, hub] { return Check(options, *hub); });
  add("lock", "Wipe the hub's keys at once and refuse its content",
      [&, hub] { return Switch(options, *hub, &v1::KeyService::Stub::LockHub); });
  add("unlock", "Take back a lock",
      [&, hub] { return Switch(options, *hub, &v1::KeyService::Stub::UnlockHub); });
}

}  // namespace cmkstore::cli
