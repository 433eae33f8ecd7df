// `cmkctl usage` and `cmkctl usage estimate`.

#include <map>
#include <sstream>

#include "absl/strings/str_split.h"
#include "cli/usage_estimate.h"
#include "tests/cli/served_cli.h"
#include "tests/testing/matchers.h"

namespace cmkstore {
namespace {

using ::testing::AllOf;
using testing::FailsWith;
using ::testing::HasSubstr;
using testing::IsOk;
using ::testing::Not;
using testing::Output;
using ::testing::StartsWith;

class CliUsageTest : public ServedCli {};

std::vector<std::string> LinesOf(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream input(text);
  for (std::string line; std::getline(input, line);) lines.push_back(line);
  return lines;
}

TEST_F(CliUsageTest, WhoIsAtAQuotaIsToldWhichAndWhatToDo) {
  MakeHub();
  server_->SetQuotas({{.documents = 1}, {}});
  ASSERT_EQ(Ctl({"put", "h1/p1/flows/f1"}, "{}").exit_code, 0);
  const Output refused = Ctl({"put", "h1/p1/flows/f2"}, "{}");
  EXPECT_EQ(refused.exit_code, 7);
  EXPECT_THAT(refused.err, AllOf(HasSubstr("may hold 1 documents"), HasSubstr("[QUOTA_EXCEEDED]"),
                                 HasSubstr("`cmkctl usage` shows"), Not(HasSubstr("try again"))));
  // An import slows down instead of failing: more batches than the burst allows.
  server_->SetQuotas({{.requests_per_second = 2, .burst = 2}, {}});
  std::string lines;
  for (int i = 0; i < 1000; ++i) {
    lines += absl::StrCat("{\"collection\": \"c\", \"id\": \"d", i, "\", \"content\": {}}\n");
  }
  const Output imported = Ctl({"import", "h1", WriteInput("in.jsonl", lines), "--project", "p1"});
  EXPECT_EQ(imported.exit_code, 0) << imported.err;
}

TEST_F(CliUsageTest, AHubIsShownByTheHourAndATenantByTheHub) {
  MakeHub();
  ASSERT_EQ(Ctl({"hub", "create", "h2", "--platform-managed"}).exit_code, 0);
  ASSERT_EQ(Ctl({"put", "h1/p1/flows/f1"}, "{}").exit_code, 0);
  clock_.Advance(absl::Hours(2));
  const Output hub = Ctl({"usage", "h1"});
  EXPECT_EQ(hub.exit_code, 0) << hub.err;
  const std::vector<std::string> lines = LinesOf(hub.out);
  ASSERT_EQ(lines.size(), 7u) << hub.out;
  EXPECT_THAT(lines[0], AllOf(StartsWith("HOUR "), HasSubstr("INDEX-HOURS")));
  EXPECT_THAT(lines[4], StartsWith("total "));
  EXPECT_THAT(lines[6], HasSubstr("counted through 20"));
  const Output tenant = Ctl({"usage"});
  EXPECT_EQ(LinesOf(tenant.out).size(), 5u) << tenant.out;
  EXPECT_THAT(tenant.out, AllOf(HasSubstr("\nh1 "), HasSubstr("\nh2 ")));
  for (const std::vector<std::string>& command :
       {std::vector<std::string>{"usage", "none"}, {"usage", "none", "--csv"}}) {
    const Output absent = Ctl(command);
    EXPECT_EQ(absent.exit_code, 3);
    EXPECT_EQ(absent.out, "") << "no head of what there is not";
  }
  EXPECT_EQ(Ctl({"usage", "h1", "--from", "yesterday"}).exit_code, 2);
  EXPECT_EQ(Ctl({"usage", "h1", "--from", "2020-01-01"}).exit_code, 9) << "too long a time";
}

TEST_F(CliUsageTest, CsvAndJsonHoldTheSameRecords) {
  MakeHub();
  ASSERT_EQ(Ctl({"put", "h1/p1/flows/f1"}, "{}").exit_code, 0);
  const std::vector<std::string> csv = LinesOf(Ctl({"usage", "h1", "--csv"}).out);
  ASSERT_EQ(csv.size(), 2u);
  const auto json = Ctl({"usage", "h1", "--json"}).JsonLines();
  ASSERT_EQ(json.size(), 1u);
  EXPECT_EQ(json[0]["documents"], "1") << "64 bits are text in JSON";
  EXPECT_EQ(json[0]["requests"]["writes"], "1");
  const std::vector<std::string> heads = absl::StrSplit(csv[0], ','),
                                 values = absl::StrSplit(csv[1], ',');
  ASSERT_EQ(heads.size(), values.size());
  std::map<std::string, std::string> record;
  for (size_t i = 0; i < heads.size(); ++i) record[heads[i]] = values[i];
  EXPECT_EQ(record["hub"], json[0]["hub"]);
  EXPECT_EQ(record["hour"], json[0]["hour"]);
  EXPECT_EQ(record["stored_bytes"], json[0]["storedBytes"]);
  EXPECT_EQ(record["writes"], "1");
}

TEST_F(CliUsageTest, TheSamplePricesMakeAnEstimateWithoutAServer) {
  testing::RunOptions nowhere;
  const std::vector<std::string> estimate = {
      "usage",       "estimate", "--hubs",   "2",
      "--documents", "1000000",  "--bytes",  "8e8",
      "--searches",  "50000",    "--prices", CMKSTORE_SOURCE_DIR "/samples/prices.txt"};
  const Output table = testing::RunCmkctl(estimate, nowhere);
  EXPECT_EQ(table.exit_code, 0) << table.err;
  EXPECT_THAT(table.out, AllOf(HasSubstr("CUSTOMER-MANAGED"), HasSubstr("search indexes"),
                               HasSubstr("1460"), HasSubstr("total, EUR")));
  std::vector<std::string> as_json = estimate;
  as_json.push_back("--json");
  const auto json = testing::RunCmkctl(as_json, nowhere).Json();
  double customer = 0, platform = 0;
  for (const auto& line : json["lines"]) {
    EXPECT_DOUBLE_EQ(line["customer_managed"].get<double>(),
                     line["quantity"].get<double>() * line["customer_price"].get<double>());
    customer += line["customer_managed"].get<double>();
    platform += line["platform_managed"].get<double>();
  }
  EXPECT_DOUBLE_EQ(json["customer_managed"], customer);
  EXPECT_DOUBLE_EQ(json["platform_managed"], platform);
  EXPECT_GT(customer, platform);
  EXPECT_EQ(testing::RunCmkctl({"usage", "estimate", "--documents", "1"}, nowhere).exit_code, 2);
  for (const std::vector<std::string>& ignored :
       {std::vector<std::string>{"--csv"}, {"--from", "2026-11-01"}, {"--to", "2026-11-01"}}) {
    std::vector<std::string> command = estimate;
    command.insert(command.end(), ignored.begin(), ignored.end());
    const Output refused = testing::RunCmkctl(command, nowhere);
    EXPECT_EQ(refused.exit_code, 2) << ignored[0];
    EXPECT_EQ(refused.out, "");
    EXPECT_THAT(refused.err, AllOf(HasSubstr(ignored[0]), HasSubstr("means nothing")));
  }
}

constexpr char kPrices[] = R"(currency = EUR
customer.index_hour = 0.01
platform.index_hour = 0.008
stored_gib_month = 0.25
index_gib_month = 0.5
writes_10k = 0.05
reads_10k = 0.004
searches_1k = 0.02
key_operations_10k = 0.03
vault_key_month = 1
)";

TEST(EstimateTest, EachAmountFollowsTheFormulaOfTheDocs) {
  const auto prices = cli::PriceList::Parse(kPrices);
  ASSERT_THAT(prices, IsOk());
  cli::UsageForecast forecast;
  forecast.hubs = 3;
  forecast.keys = 2;
  forecast.documents = 1'000'000;
  forecast.bytes = 1'000'000'000;
  forecast.writes = 20'000;
  forecast.reads = 500'000;
  forecast.searches = 4'000;
  std::map<std::string, cli::EstimateLine> lines;
  const auto month = cli::EstimateMonth(forecast, *prices);
  ASSERT_THAT(month, IsOk());
  for (const auto& line : *month) lines[line.what] = line;
  EXPECT_DOUBLE_EQ(lines["search indexes"].customer_amount(), 3 * 730 * 0.01);
  EXPECT_DOUBLE_EQ(lines["search indexes"].platform_amount(), 3 * 730 * 0.008);
  EXPECT_DOUBLE_EQ(lines["writes"].customer_amount(), 0.1);
  EXPECT_DOUBLE_EQ(lines["reads and lists"].customer_amount(), 0.2);
  EXPECT_DOUBLE_EQ(lines["searches"].customer_amount(), 0.08);
  EXPECT_DOUBLE_EQ(lines["key operations"].quantity, 730 * (2 * 120 + 3 * 60 / 3.5) / 1e4);
  EXPECT_DOUBLE_EQ(lines["key operations"].platform_amount(), 0);
  EXPECT_DOUBLE_EQ(lines["vault keys"].customer_amount(), 2);
  EXPECT_GT(lines["documents stored"].quantity, 1e9 / (1 << 30));
}

TEST(EstimateTest, APriceFileIsReadStrictly) {
  const std::string good = kPrices;
  EXPECT_THAT(cli::PriceList::Parse(good + "# and a comment\n\n"), IsOk());
  EXPECT_THAT(cli::PriceList::Parse(good + "index_hour = 1\n"),
              FailsWith("FIELD_INVALID", "line 11"));
  EXPECT_THAT(cli::PriceList::Parse(good + "reads_10k = 1\n"), FailsWith("FIELD_INVALID", "twice"));
  EXPECT_THAT(cli::PriceList::Parse("reads_10k = 1\n"), FailsWith("FIELD_INVALID", "currency"));
  EXPECT_THAT(cli::EstimateMonth({}, *cli::PriceList::Parse("currency = EUR\n")),
              FailsWith("FIELD_INVALID", "must give customer.index_hour"));
  for (const char* bad :
       {"[https://v]\nreads_10k = 1", "[https://v]\ncurrency = EUR", "[v]", "[https://v",
        "[https://v]\n[https://v]", "[https://v]\nvault_key_month = 1\nvault_key_month = 1"}) {
    EXPECT_THAT(cli::PriceList::Parse(good + bad), FailsWith("FIELD_INVALID", "of the price file"))
        << bad;
  }
  for (const char* bad : {"reads_10k = -1", "reads_10k = x", "reads_10k", "reads_10k = nan"}) {
    EXPECT_THAT(cli::PriceList::Parse(bad), FailsWith("FIELD_INVALID", "reads_10k")) << bad;
  }
}

}  // namespace
}  // namespace cmkstore
