// cmkctl key forecast: its arithmetic, and the command on a real server.

#include "cli/vault_forecast.h"
#include "tests/cli/served_cli.h"
#include "tests/testing/matchers.h"

namespace cmkstore {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using testing::Output;

constexpr char kVault[] = "https://contoso.vault.azure.net";

// Measured for half an hour: 3 describes, 1 wrap, 55 unwraps.
v1::VaultUsage Usage() {
  v1::VaultUsage usage;
  usage.set_vault_uri(kVault);
  usage.set_hubs(2);
  usage.set_keys(4);
  usage.mutable_since_time()->set_seconds(1'000'000);
  usage.mutable_read_time()->set_seconds(1'001'800);
  usage.set_describes(3);
  usage.set_wraps(1);
  usage.set_unwraps(55);
  usage.set_busiest_second(5);
  usage.set_calls_per_second_limit(25);
  return usage;
}

TEST(VaultForecastTest, AMonthIsWhatWasMeasuredAndWrapsAreTwoOperations) {
  const auto forecast = cli::ForecastOf(Usage(), std::nullopt);
  ASSERT_TRUE(forecast.has_value());
  EXPECT_DOUBLE_EQ(forecast->operations_per_month, 60 * 2 * 730);
  EXPECT_FALSE(forecast->cost_per_month.has_value());
  EXPECT_DOUBLE_EQ(forecast->published_per_second, 50);
  EXPECT_DOUBLE_EQ(forecast->head_room, 0.9);
}

TEST(VaultForecastTest, MoneyIsByTheVaultsOwnPriceWhereItHasOne) {
  const auto prices = cli::PriceList::Parse(
      "currency = EUR\nkey_operations_10k = 0.03\nvault_key_month = 2\n"
      "[https://contoso.vault.azure.net]  # of an HSM\nkey_operations_10k = 0.15\n");
  ASSERT_THAT(prices, testing::IsOk());
  EXPECT_EQ(prices->currency, "EUR");
  EXPECT_DOUBLE_EQ(*cli::ForecastOf(Usage(), *prices)->cost_per_month,
                   60.0 * 2 * 730 / 10'000 * 0.15 + 4 * 2);
  v1::VaultUsage other = Usage();
  other.set_vault_uri("https://fabrikam.vault.azure.net");
  EXPECT_DOUBLE_EQ(*cli::ForecastOf(other, *prices)->cost_per_month,
                   60.0 * 2 * 730 / 10'000 * 0.03 + 4 * 2);
}

TEST(VaultForecastTest, NothingIsForecastFromNothing) {
  v1::VaultUsage usage = Usage();
  usage.clear_since_time();
  EXPECT_FALSE(cli::ForecastOf(usage, std::nullopt).has_value());
  usage = Usage();
  *usage.mutable_since_time() = usage.read_time();
  EXPECT_FALSE(cli::ForecastOf(usage, std::nullopt).has_value());
  usage.mutable_since_time()->set_seconds(usage.read_time().seconds() - 59);
  EXPECT_FALSE(cli::ForecastOf(usage, std::nullopt).has_value()) << "a start is no month";
  usage.mutable_since_time()->set_seconds(usage.read_time().seconds() - 60);
  EXPECT_TRUE(cli::ForecastOf(usage, std::nullopt).has_value());
}

class CliForecastTest : public ServedCli {
 protected:
  void Adjust(service::ServerOptions& options) override {
    options.vault_addresses.allowed_hosts.push_back(OtherVault().substr(8));
  }
  // In the same process, and a vault of its own.
  std::string OtherVault() {
    const std::string& url = vault_->endpoints().url;
    return absl::StrCat("https://other.vault.localhost", url.substr(url.rfind(':')));
  }
  // The status of h1's key once it says so.
  std::string StatusOnce(const std::string& wanted) {
    std::string status;
    for (const absl::Time give_up = absl::Now() + absl::Seconds(20);
         status.find(wanted) == std::string::npos && absl::Now() < give_up;) {
      status = Ctl({"key", "status", "h1"}).out;
    }
    return status;
  }
};

TEST_F(CliForecastTest, TheCallsThatWereCountedAreForecastForATenantOrAHub) {
  MakeHub();
  ASSERT_EQ(Ctl({"hub", "create", "h2", "--platform-managed"}).exit_code, 0);
  EXPECT_THAT(Ctl({"key", "forecast"}).out, HasSubstr("under a minute"));
  clock_.Advance(absl::Minutes(1));
  const Output table = Ctl({"key", "forecast", "--price", "0.03"});
  EXPECT_EQ(table.exit_code, 0) << table.err;
  EXPECT_THAT(table.out, AllOf(HasSubstr(vault_->endpoints().url), HasSubstr(" USD"),
                               HasSubstr("operations a month = "), HasSubstr("take it for a guess"),
                               HasSubstr(" of 200/s")));
  const auto all = Ctl({"key", "forecast", "--json"}).Json();
  EXPECT_EQ(all["vaultUri"], vault_->endpoints().url);
  EXPECT_EQ(all["hubs"], 1);
  const double measured = all["describes"].get<double>() + 2 * all["wraps"].get<double>() +
                          all["unwraps"].get<double>();
  EXPECT_GE(measured, 5);
  EXPECT_NEAR(all["operationsPerMonth"].get<double>(),
              measured / (all["measuredSeconds"].get<double>() / 3600) * 730, 1);
  EXPECT_FALSE(all.contains("costPerMonth"));
  const std::string prices =
      WriteInput("prices.txt",
                 absl::StrCat("currency = EUR\nkey_operations_10k = 7\n", "vault_key_month = 0\n[",
                              vault_->endpoints().url, "]\nkey_operations_10k = 1\n"));
  const auto hub = Ctl({"key", "forecast", "h1", "--prices", prices, "--json"}).Json();
  EXPECT_EQ(hub["currency"], "EUR");
  EXPECT_NEAR(hub["costPerMonth"].get<double>(), hub["operationsPerMonth"].get<double>() / 10'000,
              0.01);
  EXPECT_THAT(Ctl({"key", "forecast", "h2"}).out, HasSubstr("costs no vault call"));
  const auto platform = Ctl({"key", "forecast", "h2", "--json"}).Json();
  EXPECT_EQ(platform["platformManaged"], true);
  EXPECT_EQ(platform["operationsPerMonth"], 0);
  EXPECT_EQ(Ctl({"key", "forecast", "none"}).exit_code, 3);
  EXPECT_EQ(Ctl({"key", "forecast", "--prices", "/nowhere"}).exit_code, 2);
  const Output lacking =
      Ctl({"key", "forecast", "--prices", WriteInput("few.txt", "currency = EUR\n")});
  EXPECT_EQ(lacking.exit_code, 2);
  EXPECT_THAT(lacking.err, HasSubstr("must give key_operations_10k"));
}

TEST_F(CliForecastTest, TheStatusOfAKeySaysWhyItsVaultDoesNotAnswerAndWhoseTroubleItIs) {
  StartServer();
  MakeHub();
  owner_->Script({{{"operation", "unwrapkey"}, {"status", 503}, {"count", -1}}});
  EXPECT_THAT(
      StatusOnce("UNREACHABLE"),
      AllOf(HasSubstr("http_5xx, since "), HasSubstr("this vault, or its own network rules"),
            HasSubstr("0 answer, 0 answer with errors, 0 do not answer")));
  owner_->Script(nlohmann::json::array());
  owner_->KeyIn(OtherVault(), "POST", "/keys/k1/create", {{"kty", "RSA"}, {"key_size", 2048}});
  ASSERT_EQ(Ctl({"hub", "create", "h2", "--vault-key", OtherVault() + "/keys/k1"}).exit_code, 0);
  ASSERT_EQ(Ctl({"project", "create", "h2/p1"}).exit_code, 0);
  owner_->Script({{{"operation", "unwrapkey"}, {"status", 503}, {"count", -1}}});
  EXPECT_THAT(StatusOnce("the vault service"),
              AllOf(HasSubstr("it answers, with errors, for 1 of 1 other vaults"),
                    HasSubstr("0 answer, 1 answer with errors, 0 do not answer")))
      << "an error is an answer: our network works";
  owner_->Script(nlohmann::json::array());
}

}  // namespace
}  // namespace cmkstore
