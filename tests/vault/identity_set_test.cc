// One token for all who wait, and whose trouble takes it from whom.

#include "vault/identity_set.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/errors.h"
#include "tests/testing/matchers.h"
#include "tests/testing/virtual_clock.h"
#include "vault/vault_errors.h"

namespace cmkstore::vault {
namespace {

using testing::FailsWith;
using testing::IsOk;

constexpr char kResource[] = "https://vault.azure.net";
constexpr char kOurs[] = "https://contoso.vault.azure.net";
constexpr char kOther[] = "https://fabrikam.vault.azure.net";

// A source whose fetches wait for the test.
class HeldSource final : public TokenSource {
 public:
  explicit HeldSource(Clock& clock) : clock_(clock) {}
  absl::StatusOr<AccessToken> Fetch(const TokenRequest&, absl::Time) override {
    absl::MutexLock lock(&mutex_);
    const int number = ++fetches_;
    const auto free = [this] { return !held_; };
    mutex_.Await(absl::Condition(&free));
    if (!failure_.ok()) return failure_;
    return AccessToken{absl::StrCat("token-", number), clock_.WallNow() + lifetime};
  }
  bool HasOneDirectory() const override { return has_one_directory; }
  bool has_one_directory = false;
  absl::Duration lifetime = absl::Hours(1);

  void Hold(bool held) {
    absl::MutexLock lock(&mutex_);
    held_ = held;
  }
  void FailWith(const absl::Status& failure) {
    absl::MutexLock lock(&mutex_);
    failure_ = failure;
  }
  int fetches() {
    absl::MutexLock lock(&mutex_);
    return fetches_;
  }
  void AwaitFetches(int wanted) {
    absl::MutexLock lock(&mutex_);
    const auto there = [this, wanted] { return fetches_ >= wanted; };
    mutex_.Await(absl::Condition(&there));
  }

 private:
  Clock& clock_;
  absl::Mutex mutex_;
  bool held_ = false;
  absl::Status failure_;
  int fetches_ = 0;
};

class IdentitySetTest : public ::testing::Test {
 protected:
  IdentitySetTest() {
    auto source = std::make_unique<HeldSource>(clock_);
    source_ = source.get();
    identities_.Add("", std::move(source));
  }
  ~IdentitySetTest() override { source_->Hold(false); }
  absl::StatusOr<std::string> Token() {
    return identities_.Token({"", "", kResource}, clock_.WallNow() + absl::Seconds(5));
  }
  absl::StatusOr<std::string> Renewed(const std::string& refused, const std::string& vault) {
    return identities_.Renewed({"", "", kResource}, refused, vault,
                               clock_.WallNow() + absl::Seconds(5));
  }
  void AwaitToken(const std::string& wanted) {
    while (*Token() != wanted) std::this_thread::yield();
  }

  testing::VirtualClock clock_;
  HeldSource* source_;
  IdentitySet identities_{clock_, {.max_refusing_vaults = 2}};
};

TEST_F(IdentitySetTest, ManyWhoWaitShareOneFetch) {
  source_->Hold(true);
  std::vector<std::thread> callers;
  std::atomic<int> served = 0;
  for (int i = 0; i < 16; ++i) {
    callers.emplace_back([&] { served += *Token() == "token-1"; });
  }
  source_->AwaitFetches(1);
  source_->Hold(false);
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(served, 16);
  EXPECT_EQ(source_->fetches(), 1);
}

TEST_F(IdentitySetTest, ATokenIsRefreshedAheadOfItsExpiryAndNobodyWaitsForIt) {
  ASSERT_EQ(*Token(), "token-1");
  clock_.Advance(absl::Minutes(54));
  ASSERT_EQ(*Token(), "token-1");
  EXPECT_EQ(source_->fetches(), 1) << "not before it is due";
  source_->Hold(true);
  clock_.Advance(absl::Minutes(2));
  EXPECT_EQ(*Token(), "token-1") << "the refresh hangs, the old token serves";
  source_->AwaitFetches(2);
  source_->Hold(false);
  AwaitToken("token-2");
}

TEST_F(IdentitySetTest, ATokenWithLittleTimeLeftIsRefreshedAtHalfOfItAndNotWithEachCall) {
  source_->lifetime = absl::Minutes(2);
  for (int second = 0; second < 59; ++second) {
    ASSERT_EQ(*Token(), "token-1");
    clock_.Advance(absl::Seconds(1));
  }
  EXPECT_EQ(source_->fetches(), 1);
  clock_.Advance(absl::Seconds(1));
  EXPECT_EQ(*Token(), "token-1");
  AwaitToken("token-2");
}

TEST_F(IdentitySetTest, AFailedRefreshLeavesTheOldTokenUntilItExpires) {
  ASSERT_EQ(*Token(), "token-1");
  source_->FailWith(VaultLoginFailed("directory down"));
  clock_.Advance(absl::Minutes(56));
  EXPECT_EQ(*Token(), "token-1");
  source_->AwaitFetches(2);
  EXPECT_EQ(*Token(), "token-1");
  clock_.Advance(absl::Minutes(5));
  EXPECT_THAT(Token(), FailsWith("VAULT_LOGIN_FAILED", "directory down"));
}

TEST_F(IdentitySetTest, AFailureIsAnsweredFromMemoryForAMoment) {
  source_->FailWith(VaultLoginFailed("directory down"));
  EXPECT_THAT(Token(), FailsWith("VAULT_LOGIN_FAILED", "directory down"));
  const int fetches = source_->fetches();
  for (int i = 0; i < 100; ++i) EXPECT_THAT(Token(), FailsWith("VAULT_LOGIN_FAILED", "down"));
  EXPECT_EQ(source_->fetches(), fetches);
  source_->FailWith(absl::OkStatus());
  clock_.Advance(absl::Seconds(2));
  EXPECT_THAT(Token(), IsOk());
}

TEST_F(IdentitySetTest, WhoWasRefusedAnOldTokenIsGivenTheOneThatIsThere) {
  ASSERT_EQ(*Token(), "token-1");
  EXPECT_EQ(*Renewed("an older one", kOurs), "token-1");
  EXPECT_EQ(*Renewed("token-1", kOurs), "token-2");
  EXPECT_EQ(*Token(), "token-2");
  EXPECT_EQ(*Renewed("token-1", kOther), "token-2");
  EXPECT_EQ(source_->fetches(), 2);
}

TEST_F(IdentitySetTest, AVaultThatRefusesTheTokenTakesItFromNobodyElse) {
  ASSERT_EQ(*Token(), "token-1");
  source_->Hold(true);
  std::thread refused([&] { EXPECT_EQ(*Renewed("token-1", kOurs), "token-2"); });
  source_->AwaitFetches(2);
  EXPECT_EQ(*Token(), "token-1") << "the old one serves until the new one has come";
  source_->Hold(false);
  refused.join();
  EXPECT_EQ(*Token(), "token-2");
}

TEST_F(IdentitySetTest, ANewTokenThatDoesNotComeLeavesTheOldOneToOtherVaults) {
  ASSERT_EQ(*Token(), "token-1");
  source_->FailWith(VaultLoginFailed("directory down"));
  EXPECT_THAT(Renewed("token-1", kOurs), FailsWith("VAULT_LOGIN_FAILED", "directory down"));
  EXPECT_EQ(*Token(), "token-1");
  source_->FailWith(absl::OkStatus());
  clock_.Advance(absl::Seconds(2));
  EXPECT_EQ(*Renewed("token-1", kOurs), "token-3") << "once our login works again";
}

TEST_F(IdentitySetTest, AVaultThatRefusesEveryTokenCausesFewNewOnes) {
  ASSERT_EQ(*Token(), "token-1");
  EXPECT_EQ(*Renewed("token-1", kOurs), "token-2");
  const absl::Status again = Renewed("token-2", kOurs).status();
  EXPECT_THAT(again, FailsWith("VAULT_LOGIN_FAILED", "refuses our token"));
  EXPECT_EQ(CauseOf(again), kTokenRefused);
  EXPECT_EQ(source_->fetches(), 2);
  EXPECT_EQ(*Renewed("token-2", kOther), "token-3") << "another vault's word counts";
  EXPECT_EQ(*Renewed("token-2", kOurs), "token-3") << "it costs nothing to try the newer one";
  clock_.Advance(absl::Minutes(6));
  EXPECT_EQ(*Renewed("token-3", kOurs), "token-4");
}

TEST_F(IdentitySetTest, VaultsThatRefuseAreRememberedUpToABound) {
  ASSERT_EQ(*Token(), "token-1");
  std::string token = "token-1";
  for (int i = 0; i < 2; ++i) token = *Renewed(token, absl::StrCat("vault-", i));
  EXPECT_THAT(Renewed(token, "vault-2"), FailsWith("VAULT_LOGIN_FAILED", "refuses our token"));
  clock_.Advance(absl::Minutes(6));
  EXPECT_THAT(Renewed(token, "vault-2"), IsOk());
}

TEST_F(IdentitySetTest, IdentitiesThatHangKeepNoOtherOneWaiting) {
  std::vector<HeldSource*> hanging;
  std::vector<std::thread> callers;
  for (int i = 0; i < 8; ++i) {
    auto source = std::make_unique<HeldSource>(clock_);
    source->Hold(true);
    hanging.push_back(source.get());
    identities_.Add(absl::StrCat("hangs-", i), std::move(source));
  }
  for (int i = 0; i < 8; ++i) {
    callers.emplace_back([this, i] {
      (void)identities_.Token({absl::StrCat("hangs-", i), "", kResource},
                              clock_.WallNow() + absl::Seconds(5));
    });
    hanging[i]->AwaitFetches(1);
  }
  EXPECT_EQ(*Token(), "token-1");
  for (HeldSource* source : hanging) source->Hold(false);
  for (std::thread& caller : callers) caller.join();
}

TEST_F(IdentitySetTest, EachDirectoryHasATokenOfItsOwn) {
  const absl::Time soon = clock_.WallNow() + absl::Seconds(5);
  EXPECT_EQ(*identities_.Token({"", "d1", kResource}, soon), "token-1");
  EXPECT_EQ(*identities_.Token({"", "d2", kResource}, soon), "token-2");
  EXPECT_EQ(*identities_.Token({"", "d1", kResource}, soon), "token-1");
}

TEST_F(IdentitySetTest, AnIdentityOfOneDirectoryHasOneTokenWhicheverIsAsked) {
  auto source = std::make_unique<HeldSource>(clock_);
  source->has_one_directory = true;
  identities_.Add("managed", std::move(source));
  const absl::Time soon = clock_.WallNow() + absl::Seconds(5);
  EXPECT_EQ(*identities_.Token({"managed", "d1", kResource}, soon), "token-1");
  EXPECT_EQ(*identities_.Token({"managed", "d2", kResource}, soon), "token-1");
}

TEST_F(IdentitySetTest, ADirectoryWithoutConsentIsNoTroubleOfOurs) {
  source_->FailWith(WithCause(VaultLoginFailed("not known there"), kNoConsent));
  EXPECT_EQ(CauseOf(Token().status()), kNoConsent);
  source_->FailWith(VaultLoginFailed("directory down"));
  clock_.Advance(absl::Seconds(2));
  EXPECT_EQ(CauseOf(Token().status()), "login");
}

TEST_F(IdentitySetTest, TheTokenThatWasUnusedLongestGoesFirst) {
  IdentitySet small(clock_, {.max_tokens = 2});
  small.Add("", std::make_unique<HeldSource>(clock_));
  const auto of = [&](const char* directory) {
    clock_.Advance(absl::Seconds(1));
    return *small.Token({"", directory, kResource}, clock_.WallNow() + absl::Seconds(5));
  };
  EXPECT_EQ(of("d1"), "token-1");
  EXPECT_EQ(of("d2"), "token-2");
  EXPECT_EQ(of("d1"), "token-1");
  EXPECT_EQ(of("d3"), "token-3");
  EXPECT_EQ(of("d1"), "token-1");
  EXPECT_EQ(of("d2"), "token-4");
}

TEST_F(IdentitySetTest, IdentitiesAndResourcesHaveTokensOfTheirOwn) {
  identities_.Add("other", std::make_unique<HeldSource>(clock_));
  EXPECT_EQ(*Token(), "token-1");
  const absl::Time soon = clock_.WallNow() + absl::Seconds(5);
  EXPECT_EQ(*identities_.Token({"", "", "https://managedhsm.azure.net"}, soon), "token-2");
  EXPECT_EQ(*identities_.Token({"other", "", kResource}, soon), "token-1");
  EXPECT_THAT(identities_.Token({"unknown", "", kResource}, soon),
              FailsWith("VAULT_LOGIN_FAILED", "no identity of that name"));
}

}  // namespace
}  // namespace cmkstore::vault
