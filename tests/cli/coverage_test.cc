// `cmkctl coverage`, and the page that it writes.

#include <regex>

#include "tests/cli/served_cli.h"

namespace cmkstore {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::Output;

constexpr char kHostile[] =
    "</title><script>alert(1)</script><img src=x onerror='alert(2)'>\" onload=\"&amp;\xe2\x80\xae";

class CliCoverageTest : public ServedCli {};

// Each element is closed by its own end, in order.
void ExpectWellFormed(const std::string& page) {
  std::vector<std::string> open;
  const std::regex tag(R"(<(/?)([a-z0-9]+)[^>]*>)");
  for (std::sregex_iterator at(page.begin(), page.end(), tag), end; at != end; ++at) {
    const std::string name = (*at)[2];
    if (name == "meta") continue;
    if ((*at)[1].length() == 0) {
      open.push_back(name);
    } else {
      ASSERT_FALSE(open.empty()) << name;
      ASSERT_EQ(open.back(), name);
      open.pop_back();
    }
  }
  EXPECT_TRUE(open.empty());
}

TEST_F(CliCoverageTest, ThePageIsWholeAndNothingThatWasTypedBecomesMarkup) {
  ASSERT_EQ(
      Ctl({"hub", "create", "h1", "--vault-key", VaultKey(), "--display-name", kHostile}).exit_code,
      0);
  const std::string file = dir_.path() + "/report.html";
  const Output written = Ctl({"coverage", "h1", "--html", file});
  EXPECT_EQ(written.exit_code, 0) << written.err;
  EXPECT_EQ(written.out, "");
  const std::string page = ReadFile(file).value_or("");
  EXPECT_THAT(
      page, AllOf(HasSubstr("&lt;script&gt;alert(1)&lt;/script&gt;"),
                  HasSubstr("&#39;alert(2)&#39;"), HasSubstr("&amp;amp;\\u{202e}"),
                  Not(HasSubstr("<script")), Not(HasSubstr("<img")), Not(HasSubstr("onload=\""))));
  ExpectWellFormed(page);
  // One file: nothing is loaded, nothing runs.
  const std::regex loads(R"(<[^>]*\s(src|href|on[a-z]+)\s*=)");
  EXPECT_FALSE(std::regex_search(page, loads));
  EXPECT_THAT(page, AllOf(Not(HasSubstr("url(")), Not(HasSubstr("@import"))));
  const std::string hub = absl::StrCat("tenants/", kTenant, "/hubs/h1");
  const std::string version =
      Ctl({"key", "status", "h1", "--json"}).Json()["generations"][0]["kekId"];
  EXPECT_THAT(
      page, AllOf(HasSubstr("<html lang=\"en\">"), HasSubstr("<h1>Encryption coverage report</h1>"),
                  HasSubstr(hub), HasSubstr(version), HasSubstr("by cmkstored version 0."),
                  HasSubstr("2. Under the customer&#39;s key"), HasSubstr("hbi_workspace")));
  EXPECT_THAT(page, AllOf(HasSubstr("Date and signature"), HasSubstr("<th scope=\"col\""),
                          HasSubstr("<th scope=\"row\">"), HasSubstr("within 45 seconds")));
}

TEST_F(CliCoverageTest, APlatformManagedHubIsWarnedOf) {
  ASSERT_EQ(Ctl({"hub", "create", "h2", "--platform-managed"}).exit_code, 0);
  const std::string file = dir_.path() + "/report.html";
  ASSERT_EQ(Ctl({"coverage", "h2", "--html", file}).exit_code, 0);
  const std::string page = ReadFile(file).value_or("");
  EXPECT_THAT(page,
              AllOf(HasSubstr("NOT under a customer&#39;s key"), HasSubstr("statement warning"),
                    HasSubstr("2. Under the service&#39;s platform key"),
                    Not(HasSubstr("2. Under the customer"))));
  EXPECT_THAT(Ctl({"coverage", "h2"}).out, HasSubstr("NOT under a customer's key"));
}

TEST_F(CliCoverageTest, TheTableAndTheJsonSayTheSame) {
  MakeHub();
  const Output table = Ctl({"coverage", "h1"});
  EXPECT_EQ(table.exit_code, 0) << table.err;
  const auto json = Ctl({"coverage", "h1", "--json"}).Json();
  EXPECT_EQ(json["name"], absl::StrCat("tenants/", kTenant, "/hubs/h1/encryptionCoverage"));
  size_t readable = 0;
  for (const auto& entry : json["entries"]) {
    EXPECT_THAT(table.out, HasSubstr(entry["id"].get<std::string>()));
    readable += entry["protection"] == "READABLE";
  }
  EXPECT_GT(readable, 5u);
  EXPECT_THAT(table.out, HasSubstr(json["keys"][0]["wrappedBy"].get<std::string>()));
}

TEST_F(CliCoverageTest, RefusalsAreThoseOfEveryCommand) {
  MakeHub();
  EXPECT_EQ(Ctl({"coverage", "none"}).exit_code, 3);
  EXPECT_EQ(Ctl({"coverage", "h1/p1"}).exit_code, 2);
  const Output nowhere = Ctl({"coverage", "h1", "--html", dir_.path() + "/no/such/report.html"});
  EXPECT_EQ(nowhere.exit_code, 2);
  EXPECT_THAT(nowhere.err, HasSubstr("cannot write"));
}

}  // namespace
}  // namespace cmkstore
