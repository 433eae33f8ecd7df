// The one contract of key vaults, on the vaults at hand: the local one over HTTPS, and the fake of
// the tests as far as it goes.

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "absl/strings/match.h"
#include "tests/contract/azure_vault_under_test.h"
#include "tests/contract/contract_report.h"
#include "tests/contract/local_vault.h"
#include "tests/testing/fake_key_vault.h"
#include "tests/testing/matchers.h"
#include "tests/testing/temp_dir.h"
#include "vault/dev_vault/dev_vault.h"

namespace cmkstore::contract {
namespace {

TEST(VaultContractTest, TheLocalVaultKeepsEveryLine) {
  const testing::TempDir dir;
  SystemClock clock;
  dev_vault::DevVaultOptions dev;
  dev.state_dir = dir.path() + "/vault";
  auto local = dev_vault::DevVault::Start(dev, clock);
  ASSERT_THAT(local, testing::IsOk());
  AzureVaultUnderTest under_test(LocalVaultOptions((*local)->endpoints()));
  for (const CaseResult& result : RunContract(under_test, "t-")) {
    EXPECT_EQ(result.observed, result.expected) << result.name << ": " << result.situation;
  }
}

// The fake has keys without an owner's hand: what needs one does not apply.
class FakeUnderTest final : public VaultUnderTest {
 public:
  vault::KeyVault& vault() override { return fake_; }
  std::string uri() const override { return "https://contoso.vault.azure.net"; }
  absl::Status MakeKey(const std::string& name, int bits) override {
    fake_.SetKeyBits(bits);
    if (!made_.insert(name).second) fake_.AddVersion(name);
    return absl::OkStatus();
  }
  absl::Status Change(const std::string& name, const KeyChange& change) override {
    if (!change.enabled.has_value()) return absl::UnimplementedError("no attributes");
    if (*change.enabled) {
      fake_.Heal(name);
    } else {
      fake_.Break(name, WithCause(CustomerKeyRevoked("the key is disabled"), "KeyDisabled"));
    }
    return absl::OkStatus();
  }
  absl::Status Delete(const std::string&) override { return absl::UnimplementedError(""); }
  absl::Status Recover(const std::string&) override { return absl::UnimplementedError(""); }
  absl::StatusOr<std::string> AskWithoutToken(const std::string&) override {
    return absl::UnimplementedError("");
  }
  absl::Status DescribeWithBadToken(const std::string&) override {
    return absl::UnimplementedError("");
  }

 private:
  testing::FakeKeyVault fake_;
  std::set<std::string> made_;
};

TEST(VaultContractTest, TheFakeOfTheTestsKeepsTheLinesThatApply) {
  FakeUnderTest under_test;
  int applied = 0;
  for (const CaseResult& result : RunContract(under_test, "t-")) {
    if (result.observed.empty() || result.name == "unknown_key") continue;
    EXPECT_EQ(result.observed, result.expected) << result.name << ": " << result.situation;
    ++applied;
  }
  EXPECT_GE(applied, 10);
}

TEST(VaultContractTest, TheProfilesOfOtherServersNameCasesOfTheContract) {
  FakeUnderTest under_test;
  std::set<std::string> cases;
  for (const CaseResult& result : RunContract(under_test, "t-")) cases.insert(result.name);
  int profiles = 0;
  for (const auto& file : std::filesystem::directory_iterator("tests/contract/profiles")) {
    const auto profile = ReadProfile(file.path());
    ASSERT_THAT(profile, testing::IsOk()) << file.path();
    EXPECT_FALSE(profile->differences.empty());
    for (const auto& [name, meaning] : profile->differences) {
      EXPECT_TRUE(cases.contains(name)) << file.path() << ": " << name;
    }
    ++profiles;
  }
  EXPECT_GE(profiles, 1);
}

CaseResult Result(const std::string& name, const std::string& observed) {
  return {name, "", "healthy", observed};
}

TEST(VaultContractTest, AProfileIsOfExpectationsNotOfSkips) {
  const testing::TempDir dir;
  const std::string path = dir.path() + "/profile.json";
  std::ofstream(path) << R"({"name": "odd", "differences": {"a": "denied", "b": "denied"}})";
  const auto profile = ReadProfile(path);
  ASSERT_THAT(profile, testing::IsOk());
  const auto failed = [&](const std::vector<CaseResult>& results) {
    return MakeReport("https://v", *profile, results).failed;
  };
  EXPECT_EQ(failed({Result("a", "denied"), Result("b", "denied")}), 0);
  EXPECT_EQ(failed({Result("a", "healthy"), Result("b", "denied")}), 1) << "mended unawares";
  EXPECT_EQ(failed({Result("a", "denied"), Result("b", "denied"), Result("c", "corrupt")}), 1);
  EXPECT_EQ(failed({Result("a", "denied")}), 1) << "a difference in a case that does not exist";
  const Report report = MakeReport("https://v", *profile, {Result("a", "denied"), Result("b", "")});
  EXPECT_EQ(nlohmann::json::parse(report.json)["cases"][0]["verdict"], "known");
  EXPECT_TRUE(absl::StrContains(report.table, "n/a"));
  std::ofstream(path) << R"({"differences": []})";
  EXPECT_THAT(ReadProfile(path), testing::FailsWith("FIELD_INVALID", "profile"));
}

}  // namespace
}  // namespace cmkstore::contract
