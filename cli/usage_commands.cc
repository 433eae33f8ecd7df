#include <memory>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/errors.h"
#include "cli/commands.h"
#include "cli/number_checks.h"
#include "cli/output.h"
#include "cli/paging.h"
#include "cli/resource_names.h"
#include "cli/table.h"
#include "cli/usage_estimate.h"
#include "cmkstore/v1/usage_service.grpc.pb.h"

namespace cmkstore::cli {
namespace {

struct UsageFlags {
  std::string hub, from, to;
  bool csv = false;
};

struct EstimateFlags {
  UsageForecast forecast;
  std::string prices;
};

absl::StatusOr<google::protobuf::Timestamp> ParseTime(const char* flag, const std::string& text) {
  absl::Time time;
  std::string why;
  if (!absl::ParseTime(absl::RFC3339_full, text, &time, &why) &&
      !absl::ParseTime("%Y-%m-%d", text, absl::UTCTimeZone(), &time, &why)) {
    return FieldInvalid(flag,
                        "must be a day or a time, such as 2026-11-25 or 2026-11-25T14:00:00Z");
  }
  google::protobuf::Timestamp proto;
  proto.set_seconds(absl::ToUnixSeconds(time));
  return proto;
}

double HoursOf(const v1::UsageRecord& record) {
  return static_cast<double>(record.search_index_time().seconds()) / 3600;
}

std::string Decimal(double hours) { return absl::StrFormat("%.4f", hours); }

constexpr char kCsvHead[] =
    "hub,hub_uid,hour,search_index_hours,index_bytes,documents,stored_bytes,writes,reads,lists,"
    "searches,watches,control,documents_written,documents_read,key_unwraps,key_wraps";

// No value needs quoting: names have no comma, no quote and no line feed.
std::string CsvLine(const v1::UsageRecord& record) {
  const v1::UsageRequests& requests = record.requests();
  return absl::StrCat(record.hub(), ",", record.hub_uid(), ",", TimeText(record.hour()), ",",
                      Decimal(HoursOf(record)), ",", record.index_bytes(), ",", record.documents(),
                      ",", record.stored_bytes(), ",", requests.writes(), ",", requests.reads(),
                      ",", requests.lists(), ",", requests.searches(), ",", requests.watches(), ",",
                      requests.control(), ",", record.documents_written(), ",",
                      record.documents_read(), ",", record.key_operations().unwraps(), ",",
                      record.key_operations().wraps());
}

// Sums of what happened, and the last of what there was.
struct Sum {
  double index_hours = 0;
  uint64_t writes = 0, reads = 0, lists = 0, searches = 0, key_operations = 0;
  v1::UsageRecord last;

  void Add(const v1::UsageRecord& record) {
    index_hours += HoursOf(record);
    writes += record.requests().writes();
    reads += record.requests().reads();
    lists += record.requests().lists();
    searches += record.requests().searches();
    key_operations += record.key_operations().unwraps() + record.key_operations().wraps();
    last = record;
  }
  void AddTo(Table& table, const std::string& first) const {
    table.Add({first, absl::StrFormat("%.2f", index_hours), absl::StrCat(last.documents()),
               absl::StrCat(last.stored_bytes()), absl::StrCat(last.index_bytes()),
               absl::StrCat(writes), absl::StrCat(reads), absl::StrCat(lists),
               absl::StrCat(searches), absl::StrCat(key_operations)});
  }
};

// A line an hour for one hub, a line a hub for a tenant.
class UsageTable {
 public:
  explicit UsageTable(bool by_hour)
      : by_hour_(by_hour),
        table_({by_hour ? "HOUR" : "HUB", "INDEX-HOURS", "DOCUMENTS", "STORED BYTES", "INDEX BYTES",
                "WRITES", "READS", "LISTS", "SEARCHES", "KEY OPERATIONS"}) {}
  ~UsageTable() {
    if (by_hour_) {
      sum_.AddTo(table_, "total");
    } else if (!sum_.last.hub().empty()) {
      sum_.AddTo(table_, ShortName(sum_.last.hub()));
    }
  }
  void Add(const v1::UsageRecord& record) {
    if (by_hour_) {
      Sum hour;
      hour.Add(record);
      hour.AddTo(table_, TimeText(record.hour()));
    } else if (!sum_.last.hub().empty() && sum_.last.hub() != record.hub()) {
      sum_.AddTo(table_, ShortName(sum_.last.hub()));
      sum_ = Sum();
    }
    sum_.Add(record);
  }

 private:
  const bool by_hour_;
  Table table_;
  Sum sum_;
};

int Query(const Invocation& invocation, const Connection& connection, const UsageFlags& flags) {
  const auto parent = flags.hub.empty() ? TenantName(connection.tenant())
                                        : FullName(connection.tenant(), flags.hub, Depth::kHub);
  if (!parent.ok()) return ReportUsage(parent.status(), invocation.style());
  v1::QueryUsageRequest request;
  request.set_parent(*parent);
  request.set_page_size(1000);
  for (const auto& [flag, text, time] :
       {std::tuple("--from", flags.from, request.mutable_start_time()),
        std::tuple("--to", flags.to, request.mutable_end_time())}) {
    if (text.empty()) continue;
    const auto parsed = ParseTime(flag, text);
    if (!parsed.ok()) return ReportUsage(parsed.status(), invocation.style());
    *time = *parsed;
  }
  if (flags.from.empty()) request.clear_start_time();
  if (flags.to.empty()) request.clear_end_time();
  std::unique_ptr<UsageTable> table;
  auto begin = [&, begun = false]() mutable {  // not before an answer: it may be a refusal
    if (std::exchange(begun, true)) return;
    if (flags.csv) {
      PrintLine(kCsvHead);
    } else if (!invocation.json) {
      table = std::make_unique<UsageTable>(!flags.hub.empty());
    }
  };
  google::protobuf::Timestamp through;
  const auto stub = v1::UsageService::NewStub(connection.channel());
  const grpc::Status status = ForEachPage(connection, *stub, &v1::UsageService::Stub::QueryUsage,
                                          request, [&](const v1::QueryUsageResponse& page) {
                                            begin();
                                            through = page.counted_through_time();
                                            for (const v1::UsageRecord& record : page.records()) {
                                              if (table != nullptr) {
                                                table->Add(record);
                                              } else if (flags.csv) {
                                                PrintLine(CsvLine(record));
                                              } else {
                                                PrintJson(record);
                                              }
                                            }
                                          });
  if (status.ok() && table != nullptr) {
    table.reset();
    std::printf("\nreads, lists, searches and key operations are counted through %s\n",
                TimeText(through).c_str());
  }
  return Report(status, invocation.style());
}

std::string Money(double amount) { return absl::StrFormat("%.2f", amount); }

void ShowEstimate(const std::vector<EstimateLine>& lines, const std::string& currency) {
  double customer = 0, platform = 0;
  Table table({"A MONTH OF 730 HOURS", "QUANTITY", "UNIT", "PRICE", "CUSTOMER-MANAGED",
               "PLATFORM-MANAGED"});
  for (const EstimateLine& line : lines) {
    customer += line.customer_amount();
    platform += line.platform_amount();
    table.Add({line.what, absl::StrFormat("%.4g", line.quantity), line.unit,
               line.customer_price == line.platform_price
                   ? absl::StrFormat("%g", line.customer_price)
                   : absl::StrFormat("%g / %g", line.customer_price, line.platform_price),
               Money(line.customer_amount()), Money(line.platform_amount())});
  }
  table.Add({"total, " + currency, "", "", "", Money(customer), Money(platform)});
  table.Flush();
  std::printf(
      "\nEach amount is quantity x price. What the quantities are made of: docs/usage.md.\n");
}

// `usage` has options that its subcommand would take and not heed.
absl::Status RefuseQueryFlags(const UsageFlags& flags) {
  for (const auto& [name, given] :
       {std::pair("HUB", !flags.hub.empty()), std::pair("--from", !flags.from.empty()),
        std::pair("--to", !flags.to.empty()), std::pair("--csv", flags.csv)}) {
    if (given) {
      return FieldInvalid(name, "means nothing to an estimate, which asks no server; leave it out");
    }
  }
  return absl::OkStatus();
}

int Estimate(const Invocation& invocation, const EstimateFlags& flags) {
  const auto prices = PriceList::Read(flags.prices);
  if (!prices.ok()) return ReportUsage(prices.status(), invocation.style());
  const auto lines = EstimateMonth(flags.forecast, *prices);
  if (!lines.ok()) return ReportUsage(lines.status(), invocation.style());
  if (!invocation.json) {
    ShowEstimate(*lines, prices->currency);
    return kOk;
  }
  nlohmann::json answer = {{"currency", prices->currency}, {"lines", nlohmann::json::array()}};
  double customer = 0, platform = 0;
  for (const EstimateLine& line : *lines) {
    customer += line.customer_amount();
    platform += line.platform_amount();
    answer["lines"].push_back({{"what", line.what},
                               {"unit", line.unit},
                               {"quantity", line.quantity},
                               {"customer_price", line.customer_price},
                               {"platform_price", line.platform_price},
                               {"customer_managed", line.customer_amount()},
                               {"platform_managed", line.platform_amount()}});
  }
  answer["customer_managed"] = customer;
  answer["platform_managed"] = platform;
  PrintLine(answer.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace));
  return kOk;
}

void AddEstimateCommand(CLI::App& usage, const std::shared_ptr<UsageFlags>& query,
                        Invocation& invocation) {
  CLI::App* estimate = usage.add_subcommand(
      "estimate", "What a month would cost, customer-managed and platform-managed");
  estimate->footer(
      "\nExamples:\n"
      "  cmkctl usage estimate --documents 1e6 --bytes 8e8 --searches 50000 --prices prices.txt\n"
      "  cmkctl usage estimate --hubs 20 --keys 3 --documents 2e5 --bytes 3e8 --reads 1e7 --prices "
      "prices.txt --json\n"
      "Asks no server. samples/prices.txt is a file to begin with; the prices in it are invented.");
  const auto flags = std::make_shared<EstimateFlags>();
  UsageForecast& forecast = flags->forecast;
  const auto quantity = [&](const char* name, double& value, const char* what) {
    return estimate->add_option(name, value, what)->check(Amount());
  };
  quantity("--documents", forecast.documents, "Documents stored")->required();
  quantity("--bytes", forecast.bytes, "Bytes of their content together")->required();
  quantity("--searches", forecast.searches, "Searches a month");
  quantity("--reads", forecast.reads, "Reads and lists a month");
  quantity("--writes", forecast.writes, "Writes a month");
  quantity("--hubs", forecast.hubs, "Hubs (default 1)");
  quantity("--keys", forecast.keys, "Vault keys of these hubs (default 1)");
  estimate->add_option("--prices", flags->prices, "The operator's price file")->required();
  estimate->callback([&invocation, query, flags] {
    const absl::Status refused = RefuseQueryFlags(*query);
    invocation.exit_code =
        refused.ok() ? Estimate(invocation, *flags) : ReportUsage(refused, invocation.style());
  });
}

}  // namespace

void AddUsageCommands(CLI::App& app, Invocation& invocation) {
  CLI::App* usage =
      app.add_subcommand("usage", "What a hub, or every hub of the tenant, has used by the hour");
  usage->footer(
      "\nExamples:\n"
      "  cmkctl usage h1                                      the last 24 hours, by the hour\n"
      "  cmkctl usage --from 2026-11-01 --to 2026-12-01       every hub of the tenant\n"
      "  cmkctl usage h1 --from 2026-11-25T08:00:00Z --csv    for a spreadsheet\n"
      "  cmkctl usage --json | jq 'select(.documents)'        one record a line");
  const auto flags = std::make_shared<UsageFlags>();
  usage->add_option("HUB", flags->hub, "Which hub; without it, all of the tenant");
  usage->add_option("--from", flags->from,
                    "Day or time of the first hour; default: 24 h before --to");
  usage->add_option("--to", flags->to,
                    "Day or time before which the last hour begins; default: now");
  usage->add_flag("--csv", flags->csv, "Comma-separated values, one record a line");
  AddEstimateCommand(*usage, flags, invocation);
  usage->callback([usage, &invocation, flags] {
    if (!usage->get_subcommands().empty()) return;
    const absl::StatusOr<Connection> connection = Connection::Open(invocation.connection);
    invocation.exit_code = connection.ok() ? Query(invocation, *connection, *flags)
                                           : ReportUsage(connection.status(), invocation.style());
  });
}

}  // namespace cmkstore::cli
