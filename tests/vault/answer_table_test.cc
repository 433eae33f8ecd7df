// The table of answers of docs/vaults.md, row by row: what an answer of the vault means to us.
// Every HTTP status is in it, the unknown ones too.

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "tests/testing/matchers.h"
#include "tests/testing/scripted_transport.h"
#include "vault/azure_answers.h"
#include "vault/vault_errors.h"

namespace cmkstore::vault {
namespace {

using testing::JsonAnswer;
constexpr auto kDescribe = VaultOperation::kDescribe;
constexpr auto kWrap = VaultOperation::kWrap;
constexpr auto kUnwrap = VaultOperation::kUnwrap;

std::string ErrorBody(const std::string& code, const std::string& inner) {
  return inner.empty()
             ? absl::StrCat(R"({"error":{"code":")", code, R"(","message":"secret-canary"}})")
             : absl::StrCat(R"({"error":{"code":")", code,
                            R"(","message":"secret-canary","innererror":{"code":")", inner,
                            R"("}}})");
}

struct Row {
  const char* situation;
  VaultOperation operation;
  int status;
  const char* code;
  const char* inner;
  VaultOutcome outcome;
  const char* cause;
  bool key_is_there = false;
};

const Row kTable[] = {
    {"disabled key", kUnwrap, 403, "Forbidden", "KeyDisabled", VaultOutcome::kDenied,
     "KeyDisabled"},
    {"disabled key", kWrap, 403, "Forbidden", "KeyDisabled", VaultOutcome::kDenied, "KeyDisabled"},
    {"outside its dates", kWrap, 403, "Forbidden", "KeyNotYetValidOrExpired", VaultOutcome::kUnfit,
     "KeyNotYetValidOrExpired"},
    {"outside its dates, by a stricter vault", kUnwrap, 403, "Forbidden", "KeyNotYetValidOrExpired",
     VaultOutcome::kDenied, "KeyNotYetValidOrExpired"},
    {"operation not in key_ops", kUnwrap, 403, "Forbidden", "KeyOperationForbidden",
     VaultOutcome::kDenied, "KeyOperationForbidden"},
    {"operation not in key_ops", kWrap, 403, "Forbidden", "KeyOperationForbidden",
     VaultOutcome::kDenied, "KeyOperationForbidden"},
    {"policy missing", kUnwrap, 403, "Forbidden", "ForbiddenByPolicy", VaultOutcome::kDenied,
     "ForbiddenByPolicy"},
    {"policy missing", kDescribe, 403, "Forbidden", "AccessDenied", VaultOutcome::kDenied,
     "AccessDenied"},
    {"role missing", kWrap, 403, "Forbidden", "ForbiddenByRbac", VaultOutcome::kDenied,
     "ForbiddenByRbac"},
    {"firewall", kUnwrap, 403, "Forbidden", "ForbiddenByFirewall", VaultOutcome::kDenied,
     "ForbiddenByFirewall"},
    {"private link", kUnwrap, 403, "Forbidden", "ForbiddenByConnection", VaultOutcome::kDenied,
     "ForbiddenByConnection"},
    {"403 without an inner code", kUnwrap, 403, "Forbidden", "", VaultOutcome::kDenied,
     "Forbidden"},
    {"403 with a code that is none", kUnwrap, 403, "Forbidden", "<b>x</b>", VaultOutcome::kDenied,
     "Forbidden"},
    {"key deleted", kUnwrap, 404, "KeyNotFound", "", VaultOutcome::kDenied, "KeyNotFound"},
    {"version gone, key there", kUnwrap, 404, "KeyNotFound", "", VaultOutcome::kCorrupt,
     "KeyVersionNotFound", true},
    {"key never there", kDescribe, 404, "KeyNotFound", "", VaultOutcome::kDenied, "KeyNotFound"},
    {"key never there", kWrap, 404, "KeyNotFound", "", VaultOutcome::kDenied, "KeyNotFound"},
    {"gone", kUnwrap, 410, "Gone", "", VaultOutcome::kDenied, "KeyNotFound"},
    {"bad ciphertext", kUnwrap, 400, "BadParameter", "", VaultOutcome::kCorrupt, "BadParameter"},
    {"request unfit for the key", kWrap, 400, "BadParameter", "", VaultOutcome::kUnfit,
     "BadParameter"},
    {"throttled", kUnwrap, 429, "Throttled", "", VaultOutcome::kThrottled, "throttled"},
    {"token refused", kUnwrap, 401, "Unauthorized", "", VaultOutcome::kLoginFailed,
     "token_refused"},
    {"time-out of the vault", kUnwrap, 408, "RequestTimeout", "", VaultOutcome::kUnreachable,
     "timeout"},
    {"500 for a disabled key", kUnwrap, 500, "InternalError", "KeyDisabled",
     VaultOutcome::kUnreachable, "http_5xx"},
    {"not available", kWrap, 503, "ServiceUnavailable", "", VaultOutcome::kUnreachable, "http_5xx"},
    {"conflict", kUnwrap, 409, "Conflict", "", VaultOutcome::kUnreachable, "unknown"},
    {"method not allowed", kUnwrap, 405, "MethodNotAllowed", "", VaultOutcome::kUnreachable,
     "unknown"},
    {"redirect", kUnwrap, 307, "Redirect", "", VaultOutcome::kUnreachable, "unknown"},
    {"no content", kUnwrap, 204, "None", "", VaultOutcome::kUnreachable, "unknown"},
};

class AnswerTableRow : public ::testing::TestWithParam<Row> {};

TEST_P(AnswerTableRow, MeansWhatTheTableSays) {  // KL-3
  const Row& row = GetParam();
  const absl::Status status = MeaningOf(
      row.operation, JsonAnswer(row.status, ErrorBody(row.code, row.inner)), row.key_is_there);
  EXPECT_EQ(OutcomeOf(status), row.outcome) << status;
  EXPECT_EQ(CauseOf(status), row.cause);
  EXPECT_EQ(status.message().find("canary"), absl::string_view::npos)
      << "the vault's own words are for nobody else";
}

// "wrap_403_disabled_key_KeyDisabled"
std::string NameOfRow(const ::testing::TestParamInfo<Row>& info) {
  const Row& row = info.param;
  std::string name = absl::StrCat(ToString(row.operation), "_", row.status, "_", row.situation);
  if (row.status == 403) absl::StrAppend(&name, "_", row.cause);
  std::string word;
  for (const char c : name) {
    const bool plain = absl::ascii_isalnum(static_cast<unsigned char>(c));
    if (plain || (!word.empty() && word.back() != '_')) word += plain ? c : '_';
  }
  return word;
}

INSTANTIATE_TEST_SUITE_P(Answers, AnswerTableRow, ::testing::ValuesIn(kTable), NameOfRow);

TEST(AnswerTableTest, EveryOtherStatusIsUnreachableAndCalledUnknown) {  // KL-3
  const std::set<int> known = {400, 401, 403, 404, 408, 410, 429};
  for (int status = 100; status < 1000; ++status) {
    if (known.contains(status)) continue;
    for (const VaultOperation operation : {kDescribe, kWrap, kUnwrap}) {
      const absl::Status meaning =
          MeaningOf(operation, JsonAnswer(status, ErrorBody("Forbidden", "KeyDisabled")));
      ASSERT_EQ(OutcomeOf(meaning), VaultOutcome::kUnreachable) << status;
      ASSERT_EQ(CauseOf(meaning), status >= 500 ? "http_5xx" : "unknown") << status;
      ASSERT_TRUE(RetryAfterOf(meaning).has_value()) << status;
    }
  }
}

TEST(AnswerTableTest, FirewallAndPrivateLinkAreNamedAsSuch) {
  for (const char* code : {"ForbiddenByFirewall", "ForbiddenByConnection"}) {
    const absl::Status refused = MeaningOf(kUnwrap, JsonAnswer(403, ErrorBody("Forbidden", code)));
    EXPECT_THAT(refused, testing::FailsWith("CUSTOMER_KEY_REVOKED", "network rules"));
    EXPECT_THAT(refused, testing::FailsWith("CUSTOMER_KEY_REVOKED", code));
  }
}

TEST(AnswerTableTest, RetryAfterIsHonouredWithinBounds) {
  const auto wait = [](const std::string& header) {
    HttpResponse response = JsonAnswer(429, "");
    if (!header.empty()) response.headers.emplace_back("retry-after", header);
    return *RetryAfterOf(MeaningOf(kUnwrap, response));
  };
  EXPECT_EQ(wait(""), absl::Seconds(1));
  EXPECT_EQ(wait("1"), absl::Seconds(1));
  EXPECT_EQ(wait("17"), absl::Seconds(17));
  EXPECT_EQ(wait("86400"), absl::Minutes(5));
  EXPECT_EQ(wait("-3"), absl::Seconds(1));
  EXPECT_EQ(wait("99999999999999999999"), absl::Seconds(1));
  EXPECT_EQ(wait("Wed, 21 Oct 2026 07:28:00 GMT"), absl::Seconds(1));
}

TEST(AnswerTableTest, AStatusWithoutAReasonOfOursIsUnreachable) {
  EXPECT_EQ(OutcomeOf(absl::InternalError("?")), VaultOutcome::kUnreachable);
  EXPECT_EQ(OutcomeOf(DekNotFound()), VaultOutcome::kCorrupt);
  EXPECT_EQ(OutcomeOf(absl::OkStatus()), VaultOutcome::kHealthy);
}

struct Level {
  const char* level;
  bool soft_delete;
  bool purge_protection;
};

TEST(AnswerTableTest, RecoveryLevelsAreReadByTheirParts) {
  const Level levels[] = {{"Purgeable", false, false},
                          {"Recoverable+Purgeable", true, false},
                          {"Recoverable", true, true},
                          {"Recoverable+ProtectedSubscription", true, true},
                          {"CustomizedRecoverable+Purgeable", true, false},
                          {"CustomizedRecoverable", true, true},
                          {"CustomizedRecoverable+ProtectedSubscription", true, true},
                          {"Recoverable+SomethingNew", true, true},
                          {"", false, false},
                          {"NotRecoverable", false, false}};
  for (const Level& level : levels) {
    const auto key = ParseKeyBundle(
        JsonAnswer(
            200, absl::StrCat(R"({"key":{"kid":"https://v.vault.azure.net/keys/k/1","kty":"RSA"},)",
                              R"("attributes":{"recoveryLevel":")", level.level, R"("}})")),
        {"https://v.vault.azure.net", "k", "", ""});
    ASSERT_THAT(key, testing::IsOk());
    EXPECT_EQ(key->soft_delete, level.soft_delete) << level.level;
    EXPECT_EQ(key->purge_protection, level.purge_protection) << level.level;
  }
}

}  // namespace
}  // namespace cmkstore::vault
