#include "crypto/certificate_dates.h"

#include <gtest/gtest.h>

#include "absl/time/clock.h"
#include "crypto/rsa_key.h"
#include "crypto/x509_mint.h"
#include "tests/testing/matchers.h"

namespace cmkstore::crypto {
namespace {

using testing::FailsWith;

// Self-signed, P-256, valid until 2030-01-02 03:04:05 UTC.
constexpr char kEndsIn2030[] = R"PEM(-----BEGIN CERTIFICATE-----
MIIBGjCBwQIUS04wjPbJicQr8dTewUQP086SHxUwCgYIKoZIzj0EAwIwEDEOMAwG
A1UEAwwFZGF0ZXMwHhcNMjUwMTAxMDAwMDAwWhcNMzAwMTAyMDMwNDA1WjAQMQ4w
DAYDVQQDDAVkYXRlczBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABAvPFo9csBPP
xzqZ3bng6oivTGHuY+VK4vO85tHxQBosSQKTYj+MyOot4tt4QyAxO+dF/CxEZHEY
CRCtxEngdnIwCgYIKoZIzj0EAwIDSAAwRQIgETV0XD8QWAbZUuqWkNgjaiCz/b+v
NdlQVD6yqNzjlzACIQDYxWDWBbghdndqD+qqt0k89Z3Orto7/HBhlrPoUW+RoA==
-----END CERTIFICATE-----
)PEM";

TEST(CertificateDatesTest, ACertificateIsValidFromItsBeginToItsEnd) {
  const auto at = [](int year, int second) {
    return absl::FromCivil(absl::CivilSecond(year, 1, year == 2025 ? 1 : 2, 0, 0, second),
                           absl::UTCTimeZone());
  };
  EXPECT_TRUE(CheckCertificateIsCurrent(kEndsIn2030, at(2025, 0)).ok());
  EXPECT_TRUE(CheckCertificateIsCurrent(kEndsIn2030, at(2030, 0)).ok());
  EXPECT_THAT(CheckCertificateIsCurrent(kEndsIn2030, at(2025, -1)),
              FailsWith("STATE_INVALID", "is valid from 2025-01-01T00:00:00Z on only"));
  EXPECT_THAT(CheckCertificateIsCurrent(kEndsIn2030, at(2030, 24 * 60 * 60)),
              FailsWith("STATE_INVALID", "ended at 2030-01-02T03:04:05Z"));
  EXPECT_THAT(CheckCertificateIsCurrent("words", at(2025, 0)), FailsWith("STATE_INVALID", "read"));
}

TEST(CertificateDatesTest, TheFirstToEndOfABundleCounts) {
  const absl::Time end =
      absl::FromCivil(absl::CivilSecond(2030, 1, 2, 3, 4, 5), absl::UTCTimeZone());
  EXPECT_EQ(EarliestCertificateEnd(kEndsIn2030).value(), end);
  const auto key = RsaPrivateKey::Generate(2048);
  ASSERT_TRUE(key.ok());
  const std::string ends_sooner = MintCa(*key, "sooner");
  const absl::Time sooner = EarliestCertificateEnd(ends_sooner).value();
  EXPECT_LT(absl::AbsDuration(sooner - absl::Now() - absl::Hours(24 * 30)), absl::Minutes(5));
  for (const std::string& bundle : {kEndsIn2030 + ends_sooner, ends_sooner + kEndsIn2030}) {
    EXPECT_EQ(EarliestCertificateEnd(bundle).value(), sooner);
  }
}

TEST(CertificateDatesTest, WhatCannotBeReadIsNotInOrder) {
  const std::string good = kEndsIn2030;
  EXPECT_THAT(EarliestCertificateEnd(""), FailsWith("STATE_INVALID", "no PEM certificate"));
  EXPECT_THAT(EarliestCertificateEnd("words"), FailsWith("STATE_INVALID", "no PEM certificate"));
  EXPECT_THAT(EarliestCertificateEnd(good.substr(0, good.size() / 2)),
              FailsWith("STATE_INVALID", "cannot be read"));
  EXPECT_THAT(EarliestCertificateEnd(good + good.substr(0, good.size() / 2)),
              FailsWith("STATE_INVALID", "cannot be read"));
}

}  // namespace
}  // namespace cmkstore::crypto
