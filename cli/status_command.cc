#include <map>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "cli/paging.h"
#include "cli/table.h"
#include "cmkstore/v1/hub_service.grpc.pb.h"
#include "grpc/health/v1/health.grpc.pb.h"

namespace cmkstore::cli {
namespace {

using grpc::health::v1::HealthCheckResponse;

// The services that this cmkctl knows.
constexpr const char* kServices[] = {
    "cmkstore.v1.HubService",    "cmkstore.v1.ProjectService",    "cmkstore.v1.DocumentService",
    "cmkstore.v1.SearchService", "cmkstore.v1.KeyService",        "cmkstore.v1.UsageService",
    "cmkstore.v1.AdminService",  "google.longrunning.Operations",
};

struct ServerState {
  grpc::Status reached;
  absl::Duration round_trip;
  std::string health;
  std::map<std::string, std::string> services;
};

grpc::Status AskHealth(const Connection& connection, const std::string& service,
                       std::string& health) {
  grpc::health::v1::HealthCheckRequest request;
  request.set_service(service);
  HealthCheckResponse response;
  const auto stub = grpc::health::v1::Health::NewStub(connection.channel());
  const grpc::Status status = stub->Check(connection.NewCall().get(), request, &response);
  if (status.ok()) {
    health = HealthCheckResponse::ServingStatus_Name(response.status());
  } else if (status.error_code() == grpc::StatusCode::NOT_FOUND) {
    health = "NOT_OFFERED";
    return grpc::Status::OK;
  }
  return status;
}

ServerState AskServer(const Connection& connection) {
  ServerState state;
  std::string ignored;
  state.reached = AskHealth(connection, "", state.health);  // with the handshake
  if (!state.reached.ok()) return state;
  const absl::Time began = absl::Now();
  AskHealth(connection, "", state.health);
  state.round_trip = absl::Now() - began;
  for (const char* service : kServices) {
    const grpc::Status status = AskHealth(connection, service, state.services[service]);
    if (!status.ok()) state.services[service] = "UNKNOWN";
  }
  return state;
}

grpc::Status CountHubs(const Connection& connection, std::map<std::string, int>& by_state) {
  v1::ListHubsRequest request;
  request.set_parent(absl::StrCat("tenants/", connection.tenant()));
  request.set_page_size(1000);
  request.set_show_deleted(true);
  const auto stub = v1::HubService::NewStub(connection.channel());
  return ForEachPage(connection, *stub, &v1::HubService::Stub::ListHubs, request,
                     [&by_state](const v1::ListHubsResponse& page) {
                       for (const v1::Hub& hub : page.hubs()) {
                         ++by_state[v1::Hub::State_Name(hub.state())];
                       }
                     });
}

void ShowJson(const Connection& connection, const ServerState& server,
              const std::map<std::string, int>& hubs) {
  const TokenClaims& claims = connection.claims();
  nlohmann::json answer = {{"endpoint", connection.options().endpoint},
                           {"tls", connection.encrypted()},
                           {"health", server.health},
                           {"round_trip_ms", absl::ToDoubleMilliseconds(server.round_trip)},
                           {"services", server.services},
                           {"tenant", connection.tenant()},
                           {"subject", claims.subject},
                           {"roles", claims.roles},
                           {"hubs", hubs}};
  if (claims.expires != absl::InfiniteFuture()) {
    answer["token_expires"] = TimeText(claims.expires);
  }
  PrintLine(answer.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace));
}

std::string TokenLife(const TokenClaims& claims) {
  if (claims.expires == absl::InfiniteFuture()) return "";
  const absl::Duration left = claims.expires - absl::Now();
  if (left <= absl::ZeroDuration()) return "EXPIRED " + TimeText(claims.expires);
  return absl::StrCat("until ", TimeText(claims.expires), " (",
                      absl::FormatDuration(absl::Trunc(left, absl::Seconds(1))), " left)");
}

void ShowTable(const Connection& connection, const ServerState& server,
               const std::map<std::string, int>& hubs) {
  Table table;
  table.Add({"endpoint", absl::StrCat(connection.options().endpoint,
                                      connection.encrypted() ? "  (TLS)" : "  (no TLS)")});
  table.Add({"server", absl::StrCat(server.health, ", answers in ",
                                    absl::ToInt64Microseconds(server.round_trip), " us")});
  for (const auto& [service, health] : server.services) table.Add({"  " + service, health});
  const TokenClaims& claims = connection.claims();
  table.Add({"tenant", connection.tenant().empty() ? "not set" : connection.tenant()});
  table.Add({"token of", claims.subject.empty() ? "no token" : claims.subject});
  if (!claims.roles.empty()) table.Add({"roles", absl::StrJoin(claims.roles, ", ")});
  if (!TokenLife(claims).empty()) table.Add({"token", TokenLife(claims)});
  int total = 0;
  std::string states;
  for (const auto& [state, count] : hubs) {
    total += count;
    absl::StrAppend(&states, states.empty() ? "  (" : ", ", count, " ", state);
  }
  table.Add({"hubs", absl::StrCat(total, states, states.empty() ? "" : ")")});
}

int Status(const Invocation& invocation, const Connection& connection) {
  const ServerState server = AskServer(connection);
  if (!server.reached.ok()) return Report(server.reached, invocation.style());
  std::map<std::string, int> hubs;
  grpc::Status counted;
  if (!connection.tenant().empty()) counted = CountHubs(connection, hubs);
  if (invocation.json) {
    ShowJson(connection, server, hubs);
  } else {
    ShowTable(connection, server, hubs);
  }
  if (!counted.ok()) return Report(counted, invocation.style());
  return server.health == "SERVING" ? kOk : kUnavailable;
}

}  // namespace

void AddStatusCommand(CLI::App& app, Invocation& invocation) {
  CLI::App* status =
      app.add_subcommand("status", "Whether the server is there, who you are, how the hubs are");
  status->footer(
      "\nExamples:\n"
      "  cmkctl status\n"
      "  cmkctl status --profile contoso --json | jq .hubs\n"
      "Exit code 7 if the server cannot be reached or does not serve.");
  OnRun(status, invocation,
        [&invocation](const Connection& connection) { return Status(invocation, connection); });
}

}  // namespace cmkstore::cli
