#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <vector>

#include "absl/strings/match.h"
#include "service/key_checks.h"
#include "tests/testing/fake_key_vault.h"
#include "tests/testing/matchers.h"
#include "tests/testing/virtual_clock.h"

namespace cmkstore::service {

using testing::FailsWith;
using testing::IsOk;

// The fake vault with a description and refusals of the test's choice.
class OddVault final : public vault::KeyVault {
 public:
  absl::StatusOr<vault::KeyDescription> Describe(const vault::KeyRef& key,
                                                 absl::Time deadline) override {
    ++describes;
    last = key;
    if (on_describe) on_describe();
    if (!describe.ok()) return describe;
    auto description = fake.Describe(key, deadline);
    if (edit) edit(*description);
    return description;
  }
  absl::StatusOr<vault::WrappedKey> Wrap(const vault::KeyRef& key, const crypto::SecretBytes& dek,
                                         absl::Time deadline) override {
    if (!wrap.ok()) return wrap;
    return fake.Wrap(key, dek, deadline);
  }
  absl::StatusOr<crypto::SecretBytes> Unwrap(const vault::KeyRef& key,
                                             const vault::WrappedKey& wrapped,
                                             absl::Time deadline) override {
    if (!unwrap.ok()) return unwrap;
    if (unwraps_anything) return crypto::SecretBytes(32);
    return fake.Unwrap(key, wrapped, deadline);
  }

  absl::Status describe, wrap, unwrap;
  bool unwraps_anything = false;
  std::function<void(vault::KeyDescription&)> edit;
  std::function<void()> on_describe;
  int describes = 0;
  vault::KeyRef last;  // that was described
  testing::FakeKeyVault fake;
};

inline absl::Status Refusal(const char* cause) {
  return WithCause(CustomerKeyRevoked(cause), cause);
}
inline absl::Status Outage(const char* cause) {
  return WithCause(VaultUnreachable(cause, absl::Seconds(5)), cause);
}

inline constexpr char kTenant[] = "11111111-2222-4333-8444-555555555555";

// A vault that is called without a token: says whose it is, every time.
class ChallengingTransport final : public HttpTransport {
 public:
  absl::StatusOr<HttpResponse> Send(const HttpRequest&, absl::Time) override { return answer; }

  absl::StatusOr<HttpResponse> answer = HttpResponse{
      401,
      {{"WWW-Authenticate",
        absl::StrCat("Bearer authorization=\"https://login.windows.net/", kTenant, "\"")}},
      ""};
};

class KeyChecksTest : public ::testing::Test {
 protected:
  std::map<std::string, v1::KeyCheck> Run() {
    response_ = checks_.Run(tenant_, key_, stored_, clock_.WallNow() + absl::Seconds(30));
    std::map<std::string, v1::KeyCheck> rows;
    for (const v1::KeyCheck& row : response_.checks()) rows[row.check()] = row;
    return rows;
  }
  // The names of the rows that ended so, in order.
  std::string Rows(v1::KeyCheck::Result result) {
    std::string names;
    Run();
    for (const v1::KeyCheck& row : response_.checks()) {
      if (row.result() == result) absl::StrAppend(&names, names.empty() ? "" : " ", row.check());
    }
    return names;
  }
  absl::Status Require() {
    return checks_.Require(tenant_, key_, clock_.WallNow() + absl::Seconds(30)).status();
  }

  std::vector<vault::WrappedKey> stored_;
  vault::KeyRef key_{"https://contoso-kv.vault.azure.net", "hub-key", "", ""};
  OddVault vault_;
  testing::VirtualClock clock_;
  crypto::SystemRandom random_;
  std::string tenant_ = kTenant;
  ChallengingTransport transport_;
  vault::CallBudget budget_{clock_};
  vault::VaultMeter meter_{clock_};
  vault::VaultDirectory directory_{{}, {}, transport_, budget_, meter_, clock_, random_};
  KeyChecks checks_{{.identities = {{"", ""}, {"known", "11111111-2222-3333-4444-555555555555"}}},
                    vault_,
                    directory_,
                    vault::VaultAddressPolicy(),
                    random_,
                    clock_};
  v1::CheckKeyResponse response_;
};

}  // namespace cmkstore::service
