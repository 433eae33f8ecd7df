#include "cli/profile.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/resource_names.h"
#include "cli/token_claims.h"

namespace cmkstore::cli {
namespace {

using ::testing::HasSubstr;

constexpr char kText[] =
    "# comment\n"
    "[default]\n"
    "endpoint = a:1\n"
    "[contoso]\n"
    " endpoint=b:2 \n"
    "ca = certs/ca.pem\n"
    "token_file = /run/token\n"
    "; another\n"
    "timeout = 5s\n";

TEST(ProfileTest, FillsWhatIsNotSaidYet) {
  ConnectionOptions options;
  options.timeout = "1s";
  ASSERT_TRUE(ApplyProfile(kText, "/etc/cmk/profiles.ini", "contoso", options).ok());
  EXPECT_EQ(options.endpoint, "b:2");
  EXPECT_EQ(options.ca, "/etc/cmk/certs/ca.pem") << "relative to the file";
  EXPECT_EQ(options.token_file, "/run/token");
  EXPECT_EQ(options.timeout, "1s");
}

TEST(ProfileTest, RefusalsNameFileAndLine) {
  ConnectionOptions options;
  const auto message = [&](const char* text, const char* name) {
    return std::string(ApplyProfile(text, "f", name, options).message());
  };
  EXPECT_THAT(message(kText, "none"), HasSubstr("it has: default, contoso"));
  EXPECT_THAT(message("[a]\nendpint = x\n", "a"), HasSubstr("f:2: must be KEY = VALUE"));
  EXPECT_THAT(message("endpoint = x\n", "a"), HasSubstr("f:1: stands before"));
  EXPECT_THAT(message("[a\n", "a"), HasSubstr("f:1: a profile begins with"));
}

TEST(ResourceNamesTest, ShortNamesBecomeFullOnesAndBack) {
  EXPECT_EQ(*FullName("t", "h", Depth::kHub), "tenants/t/hubs/h");
  const std::string document = "tenants/t/hubs/h/projects/p/collections/c/documents/d";
  EXPECT_EQ(*FullName("t", "h/p/c/d", Depth::kDocument), document);
  EXPECT_EQ(*FullName("", document, Depth::kDocument), document);
  EXPECT_EQ(ShortName(document), "h/p/c/d");
  EXPECT_EQ(*OperationName("t", "h/o"), "tenants/t/hubs/h/operations/o");
  EXPECT_EQ(ShortName("tenants/t/hubs/h/operations/o"), "h/o");
}

TEST(ResourceNamesTest, NamesOfTheWrongFormAreRefused) {
  for (const char* name : {"", "h/p/c/d/e", "h//c", "tenants/t/hubs/h/operations/o",
                           "tenants/t/hubs/h/collections/c", "h/../c", "h/\033"}) {
    EXPECT_FALSE(FullName("t", name, Depth::kHub, Depth::kDocument).ok()) << name;
  }
  EXPECT_FALSE(FullName("t", "h/p", Depth::kHub).ok());
  EXPECT_FALSE(FullName("", "h", Depth::kHub).ok()) << "no tenant";
  EXPECT_FALSE(OperationName("t", "tenants/t/hubs/h/projects/p").ok());
}

TEST(TokenClaimsTest, ReadsWhatATokenSaysAndNothingFromGarbage) {
  // {"tid":"t","sub":"s","roles":["r1","r2"],"exp":1700000000}
  const TokenClaims claims = *ReadClaims(
      "e30.eyJ0aWQiOiJ0Iiwic3ViIjoicyIsInJvbGVzIjpbInIxIiwicjIiXSwiZXhwIjoxNzAwMDAwMDAwfQ.sig");
  EXPECT_EQ(claims.tenant, "t");
  EXPECT_EQ(claims.subject, "s");
  EXPECT_EQ(claims.roles.size(), 2u);
  EXPECT_EQ(claims.expires, absl::FromUnixSeconds(1'700'000'000));
  EXPECT_EQ(ReadClaims("e30.e30.sig")->expires, absl::InfiniteFuture());
  EXPECT_FALSE(ReadClaims("garbage").has_value());
  EXPECT_FALSE(ReadClaims("a.b.c").has_value());
}

}  // namespace
}  // namespace cmkstore::cli
