// The one contract of key vaults, on the vaults at hand: the local one over HTTPS, and the fake of
// the tests as far as it goes.

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>

#include "absl/strings/match.h"
#include "tests/contract/azure_vault_under_test.h"
#include "tests/contract/contract_report.h"
#include "tests/contract/local_vault.h"
#include "tests/e2e/vault_owner.h"
#include "tests/testing/fake_key_vault.h"
#include "tests/testing/kept_keys.h"
#include "tests/testing/matchers.h"
#include "tests/testing/temp_dir.h"
#include "vault/dev_vault/dev_vault.h"

namespace cmkstore::contract {
namespace {

class LocalVaultTest : public ::testing::Test {
 protected:
  void Start(bool managed_hsm = false) {
    dev_vault::DevVaultOptions options;
    options.managed_hsm = managed_hsm;
    options.state_dir = dir_.path() + "/vault";
    testing::PlaceVaultKeys(options.state_dir);
    auto local = dev_vault::DevVault::Start(options, clock_);
    ASSERT_THAT(local, testing::IsOk());
    local_ = *std::move(local);
  }
  const testing::TempDir dir_;
  SystemClock clock_;
  std::unique_ptr<dev_vault::DevVault> local_;
};

TEST_F(LocalVaultTest, TheLocalVaultKeepsEveryLine) {
  Start();
  AzureVaultUnderTest under_test(LocalVaultOptions(local_->endpoints()));
  for (const CaseResult& result : RunContract(under_test, "t-")) {
    const bool applies = !absl::StrContains(result.name, "symmetric");
    EXPECT_EQ(result.observed, applies ? result.expected : "") << result.name;
    EXPECT_EQ(result.late_looks, 0) << result.name;
  }
}

TEST_F(LocalVaultTest, WhoMayMakeNoKeyIsToldSoOfEachCaseThatNeedsOne) {
  Start();
  AzureVaultOptions options = LocalVaultOptions(local_->endpoints());
  options.identity = nullptr;
  AzureVaultUnderTest under_test(std::move(options));
  int told = 0;
  for (const CaseResult& result : RunContract(under_test, "t-")) {
    if (result.observed == kNotSetUp) ++told;
    if (result.name != "bad_token") continue;
    EXPECT_EQ(result.observed, kNotSetUp);
    EXPECT_TRUE(absl::StrContains(result.detail, "create answered 401")) << result.detail;
  }
  EXPECT_GE(told, 20);
}

TEST_F(LocalVaultTest, ACallMayTakeTheTimeThatIsGivenForIt) {
  Start();
  AzureVaultOptions options = LocalVaultOptions(local_->endpoints());
  options.call_time = absl::Microseconds(1);
  AzureVaultUnderTest under_test(std::move(options));
  for (const CaseResult& result : RunContract(under_test, "t-")) {
    const bool applies = !absl::StrContains(result.name, "symmetric");
    EXPECT_NE(result.observed, applies ? result.expected : kNotSetUp) << result.name;
  }
}

TEST_F(LocalVaultTest, ALocalManagedHsmKeepsEveryLineByKeysOfItsOwnKinds) {
  Start(/*managed_hsm=*/true);
  AzureVaultOptions options = LocalVaultOptions(local_->endpoints());
  options.managed_hsm = true;
  AzureVaultUnderTest under_test(std::move(options));
  for (const CaseResult& result : RunContract(under_test, "t-")) {
    EXPECT_EQ(result.observed, result.expected) << result.name << ": " << result.detail;
  }
}

TEST_F(LocalVaultTest, OddAnswersToASetUpAreReportedAsFailedSetUps) {
  Start();
  VaultOwner owner(local_->endpoints());
  AzureVaultUnderTest under_test(LocalVaultOptions(local_->endpoints()));
  for (const char* body : {R"({"key":null})", R"({"key":"x"})", R"({"key":{"kid":5}})", R"([])"}) {
    owner.Script({{{"operation", "create"}, {"status", 200}, {"body", body}}});
    const absl::Status made = under_test.MakeKey("odd", KeyKind());
    EXPECT_TRUE(absl::StrContains(made.message(), "create answered 200")) << body << made;
  }
}

TEST(VaultContractTest, ATokenIsSentToNoAddressThatIsNotHttps) {
  const auto check = [](const std::string& url) {
    AzureVaultOptions options;
    options.url = url;
    return CheckAzureVaultOptions(options);
  };
  EXPECT_THAT(check("https://contoso.vault.azure.net"), testing::IsOk());
  EXPECT_THAT(check("https://localhost:8443"), testing::IsOk());
  for (const char* url :
       {"http://contoso.vault.azure.net", "http://localhost:8080", "contoso.vault.azure.net", "",
        "https://", "https://a@b", "https://contoso.vault.azure.net/keys"}) {
    EXPECT_THAT(check(url), testing::FailsWith("FIELD_INVALID", "must be https://")) << url;
  }
  AzureVaultOptions options;
  options.url = "https://contoso.vault.azure.net";
  options.identity = std::make_unique<vault::IdentityOptions>();
  options.identity->kind = vault::IdentityOptions::Kind::kClientSecret;
  options.identity->authority = "http://login.microsoftonline.com";
  EXPECT_THAT(CheckAzureVaultOptions(options), testing::FailsWith("FIELD_INVALID", "https"));
}

// The fake has keys without an owner's hand: what needs one does not apply.
class FakeUnderTest final : public VaultUnderTest {
 public:
  vault::KeyVault& vault() override { return fake_; }
  std::string uri() const override { return "https://contoso.vault.azure.net"; }
  absl::Status MakeKey(const std::string& name, const KeyKind& kind) override {
    if (kind.symmetric) return absl::UnimplementedError("no AES keys");
    fake_.SetKeyBits(kind.bits);
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

// A vault whose changes are seen late, or whose answers are right only now and then.
class OddUnderTest final : public VaultUnderTest {
 public:
  vault::KeyVault& vault() override { return odd_; }
  std::string uri() const override { return owner_.uri(); }
  absl::Duration settle_time() const override { return absl::Seconds(10); }
  absl::Status MakeKey(const std::string& name, const KeyKind& kind) override {
    ++keys;
    return owner_.MakeKey(name, kind);
  }
  absl::Status Change(const std::string& name, const KeyChange& change) override {
    changed_ = name;
    return owner_.Change(name, change);
  }
  absl::Status Delete(const std::string& name) override { return owner_.Delete(name); }
  absl::Status Recover(const std::string& name) override { return owner_.Recover(name); }
  absl::StatusOr<std::string> AskWithoutToken(const std::string& name) override {
    return owner_.AskWithoutToken(name);
  }
  absl::Status DescribeWithBadToken(const std::string& name) override {
    return owner_.DescribeWithBadToken(name);
  }
  int late = 0;        // unwraps that do not know of a change yet
  bool flaky = false;  // every other unwrap gets no answer
  int keys = 0;

 private:
  class Odd final : public vault::KeyVault {
   public:
    explicit Odd(OddUnderTest& outer) : outer_(outer) {}
    absl::StatusOr<vault::KeyDescription> Describe(const vault::KeyRef& key,
                                                   absl::Time deadline) override {
      return outer_.owner_.vault().Describe(key, deadline);
    }
    absl::StatusOr<vault::WrappedKey> Wrap(const vault::KeyRef& key, const crypto::SecretBytes& dek,
                                           absl::Time deadline) override {
      absl::StatusOr<vault::WrappedKey> wrapped = outer_.owner_.vault().Wrap(key, dek, deadline);
      outer_.secret_ = crypto::SecretBytes(dek.Reveal());
      return wrapped;
    }
    absl::StatusOr<crypto::SecretBytes> Unwrap(const vault::KeyRef& key,
                                               const vault::WrappedKey& wrapped,
                                               absl::Time deadline) override {
      if (outer_.flaky && ++outer_.unwraps_ % 2 == 1) {
        return VaultUnreachable("http_5xx", absl::Seconds(1));
      }
      if (key.key_name == outer_.changed_ && outer_.late > 0) {
        --outer_.late;
        return crypto::SecretBytes(outer_.secret_.Reveal());
      }
      return outer_.owner_.vault().Unwrap(key, wrapped, deadline);
    }

   private:
    OddUnderTest& outer_;
  };
  FakeUnderTest owner_;
  Odd odd_{*this};
  std::string changed_;
  crypto::SecretBytes secret_;
  int unwraps_ = 0;
};

CaseResult ResultOf(const std::string& name, VaultUnderTest& under_test) {
  for (CaseResult& result : RunContract(under_test, "t-")) {
    if (result.name == name) return std::move(result);
  }
  return {};
}

TEST(VaultContractTest, OnlyAChangeThatIsNotSeenYetIsLookedAtAgainAndThatIsSaid) {
  OddUnderTest under_test;
  under_test.late = 2;
  const CaseResult late = ResultOf("disabled_unwrap", under_test);
  EXPECT_EQ(late.observed, "denied/KeyDisabled");
  EXPECT_EQ(late.late_looks, 2);
  const Report report = MakeReport("https://v", {}, {late});
  EXPECT_EQ(report.failed, 0);
  EXPECT_TRUE(absl::StrContains(report.table, "not seen at the first 2 looks")) << report.table;
  EXPECT_EQ(nlohmann::json::parse(report.json)["changes_seen_late"], 1);
}

TEST(VaultContractTest, AVaultThatIsRightNowAndThenFailsAndGetsNoMoreKeysForIt) {
  OddUnderTest under_test;
  under_test.flaky = true;
  EXPECT_EQ(ResultOf("round_trip_2048", under_test).observed, "unreachable");
  OddUnderTest steady;
  const size_t cases = RunContract(steady, "t-").size();
  EXPECT_LE(steady.keys, static_cast<int>(cases) + 2) << "two cases make another version";
}

TEST(VaultContractTest, WhatAVaultSaysOfAFailedSetUpIsInTheReportWhateverItsBytes) {
  CaseResult broken{"round_trip_2048", "", "healthy", kNotSetUp};
  broken.detail = "create answered 500 \xff\xfe\x1b[2J cut in the middle of \xc3";
  const Report report = MakeReport("https://v", {}, {broken});
  EXPECT_EQ(report.failed, 1);
  EXPECT_FALSE(absl::StrContains(report.table, "\x1b"));
  const auto json = nlohmann::json::parse(report.json, nullptr, false);
  ASSERT_FALSE(json.is_discarded());
  EXPECT_EQ(json["cases"][0]["observed"], kNotSetUp);
  const Profile profile{"odd", {{"round_trip_2048", kNotSetUp}}};
  EXPECT_EQ(MakeReport("https://v", profile, {broken}).failed, 0) << "a profile may expect it";
}

TEST(VaultContractTest, AMissIsShownWithItsSituationAndWithWhatTheProfileExpects) {
  const CaseResult miss{"disabled_unwrap", "an unwrap by a disabled key", "denied/KeyDisabled",
                        "healthy"};
  EXPECT_TRUE(absl::StrContains(MakeReport("https://v", {}, {miss}).table,
                                "\n        an unwrap by a disabled key\n"));
  const Profile profile{"odd", {{"disabled_unwrap", "denied"}}};
  EXPECT_TRUE(
      absl::StrContains(MakeReport("https://v", profile, {miss}).table,
                        "\n        an unwrap by a disabled key; the profile expects denied\n"));
  EXPECT_FALSE(absl::StrContains(
      MakeReport("https://v", {"odd", {{"disabled_unwrap", "healthy"}}}, {miss}).table,
      "an unwrap by"))
      << "no miss";
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
  for (const char* bad : {R"({"differences": []})", R"({"name": 5, "differences": {}})"}) {
    std::ofstream(path) << bad;
    EXPECT_THAT(ReadProfile(path), testing::FailsWith("FIELD_INVALID", "profile"));
  }
}

}  // namespace
}  // namespace cmkstore::contract
