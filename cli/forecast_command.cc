#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/status_macros.h"
#include "cli/commands.h"
#include "cli/number_checks.h"
#include "cli/output.h"
#include "cli/resource_names.h"
#include "cli/table.h"
#include "cli/vault_forecast.h"
#include "cmkstore/v1/key_service.grpc.pb.h"

namespace cmkstore::cli {
namespace {

struct ForecastFlags {
  std::string hub, price_file, currency = "USD";
  double price = -1;  // negative: not given
};

absl::StatusOr<std::optional<PriceList>> PricesOf(const ForecastFlags& flags) {
  if (!flags.price_file.empty()) {
    CMK_ASSIGN_OR_RETURN(PriceList prices, PriceList::Read(flags.price_file));
    CMK_RETURN_IF_ERROR(prices.Require({"key_operations_10k", "vault_key_month"}));
    return std::make_optional(std::move(prices));
  }
  if (flags.price < 0) return std::optional<PriceList>();
  return std::make_optional(
      PriceList{flags.currency, {{"key_operations_10k", flags.price}, {"vault_key_month", 0}}, {}});
}

// The vault of the hub's key; empty for a platform-managed one.
grpc::Status VaultOf(const Connection& connection, const std::string& hub_name,
                     std::string& vault_uri) {
  v1::GetKeyStatusRequest request;
  request.set_name(absl::StrCat(hub_name, "/key"));
  v1::KeyStatus status;
  const grpc::Status result = v1::KeyService::NewStub(connection.channel())
                                  ->GetKeyStatus(connection.NewCall().get(), request, &status);
  vault_uri = status.encryption().customer_managed().vault_uri();
  return result;
}

void ShowJson(const v1::VaultUsage& usage, const std::optional<VaultForecast>& forecast,
              const std::optional<PriceList>& prices) {
  nlohmann::ordered_json line = {
      {"vaultUri", usage.vault_uri()},  {"hubs", usage.hubs()},
      {"keys", usage.keys()},           {"describes", usage.describes()},
      {"wraps", usage.wraps()},         {"unwraps", usage.unwraps()},
      {"throttled", usage.throttled()}, {"busiestSecond", usage.busiest_second()}};
  if (forecast.has_value()) {
    line["measuredSeconds"] = absl::ToDoubleSeconds(forecast->measured);
    line["operationsPerMonth"] = forecast->operations_per_month;
    line["operationsPerHubAndMonth"] = forecast->operations_per_month / usage.hubs();
    line["publishedLimitPerSecond"] = forecast->published_per_second;
    line["headRoom"] = forecast->head_room;
  }
  if (forecast.has_value() && forecast->cost_per_month.has_value()) {
    line["costPerMonth"] = *forecast->cost_per_month;
    line["costPerHubAndMonth"] = *forecast->cost_per_month / usage.hubs();
    line["currency"] = prices->currency;
  }
  PrintLine(line.dump());
}

void AddRow(const v1::VaultUsage& usage, const std::optional<VaultForecast>& forecast,
            const std::optional<PriceList>& prices, Table& table) {
  std::vector<std::string> row = {usage.vault_uri(), absl::StrCat(usage.hubs()),
                                  absl::StrCat(usage.keys())};
  if (!forecast.has_value()) {
    const char* const why = usage.has_since_time() ? "under a minute" : "not called yet";
    for (const char* cell : {why, "-", "-", "-", "-"}) row.push_back(cell);
  } else {
    const std::string cost =
        forecast->cost_per_month.has_value()
            ? absl::StrFormat("%.2f %s", *forecast->cost_per_month, prices->currency)
            : "no price given";
    row.push_back(absl::FormatDuration(absl::Floor(forecast->measured, absl::Seconds(1))));
    row.push_back(absl::StrFormat("%.0f", forecast->operations_per_month));
    row.push_back(cost);
    row.push_back(
        absl::StrFormat("%d of %g/s", usage.busiest_second(), forecast->published_per_second));
    row.push_back(absl::StrFormat("%.0f %%", forecast->head_room * 100));
  }
  table.Add(std::move(row));
}

// Below an hour a start's cold misses, or a check, weigh as if they went on for ever.
bool IsShort(const std::optional<VaultForecast>& forecast) {
  return forecast.has_value() && forecast->measured < absl::Hours(1);
}

int Forecast(const Invocation& invocation, const Connection& connection,
             const ForecastFlags& flags) {
  const auto prices = PricesOf(flags);
  if (!prices.ok()) return ReportUsage(prices.status(), invocation.style());
  std::string only_vault;
  if (!flags.hub.empty()) {
    const auto name = FullName(connection.tenant(), flags.hub, Depth::kHub);
    if (!name.ok()) return ReportUsage(name.status(), invocation.style());
    const grpc::Status status = VaultOf(connection, *name, only_vault);
    if (!status.ok()) return Report(status, invocation.style());
    if (only_vault.empty()) {
      if (invocation.json) {
        PrintLine(R"({"platformManaged":true,"operationsPerMonth":0})");
      } else {
        std::printf("The hub's key is the platform's: it costs no vault call.\n");
      }
      return kOk;
    }
  }
  const auto tenant = TenantName(connection.tenant());
  if (!tenant.ok()) return ReportUsage(tenant.status(), invocation.style());
  v1::GetVaultUsageRequest request;
  request.set_parent(*tenant);
  v1::GetVaultUsageResponse response;
  const grpc::Status status = v1::KeyService::NewStub(connection.channel())
                                  ->GetVaultUsage(connection.NewCall().get(), request, &response);
  if (!status.ok()) return Report(status, invocation.style());

  std::optional<Table> table;
  if (!invocation.json) {
    table.emplace(std::vector<std::string>{"VAULT", "HUBS", "KEYS", "MEASURED",
                                           "OPERATIONS A MONTH", "COST A MONTH", "BUSIEST SECOND",
                                           "HEAD-ROOM"});
  }
  bool is_short = false;
  for (const v1::VaultUsage& usage : response.vaults()) {
    if (!only_vault.empty() && usage.vault_uri() != only_vault) continue;
    const std::optional<VaultForecast> forecast = ForecastOf(usage, *prices);
    is_short = is_short || IsShort(forecast);
    if (invocation.json) {
      ShowJson(usage, forecast, *prices);
    } else {
      AddRow(usage, forecast, *prices, *table);
    }
  }
  if (invocation.json) return kOk;
  table.reset();
  std::printf("\n%s", ForecastFormula());
  if (is_short) std::printf("Measured for less than an hour: take it for a guess.\n");
  return kOk;
}

}  // namespace

void AddForecastCommand(CLI::App& key, Invocation& invocation) {
  const auto flags = std::make_shared<ForecastFlags>();
  CLI::App* command = key.add_subcommand(
      "forecast", "Vault operations a month, their cost, and what is left before throttling");
  command->footer(
      "\nExamples:\n"
      "  cmkctl key forecast --price 0.03                      all vaults of the tenant\n"
      "  cmkctl key forecast h1 --prices prices.txt            the vault of one hub\n"
      "From the calls that this server has counted since it started. Prices are yours to give:\n"
      "--price is for 10,000 operations. Of a price file key_operations_10k and vault_key_month "
      "are "
      "used;\nsamples/prices.txt is one to begin with, the prices in it are invented.");
  command->add_option("HUB", flags->hub, "Whose vault; all of the tenant without it");
  CLI::Option* price =
      command->add_option("--price", flags->price, "Of 10,000 operations")->check(Amount());
  command->add_option("--currency", flags->currency, "Of --price")->capture_default_str();
  command->add_option("--prices", flags->price_file, "A price file, which may name prices by vault")
      ->excludes(price);
  OnRun(command, invocation, [&invocation, flags](const Connection& connection) {
    return Forecast(invocation, connection, *flags);
  });
}

}  // namespace cmkstore::cli
