#include "vault/vault_uri.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/testing/matchers.h"

namespace cmkstore::vault {
namespace {

using testing::FailsWith;
using testing::IsOk;

TEST(VaultUriTest, TheVaultsOfTheCloudAreAccepted) {
  const VaultAddressPolicy policy;
  for (const char* uri : {"https://contoso.vault.azure.net", "https://c-1.vault.azure.net",
                          "https://7.managedhsm.azure.net"}) {
    EXPECT_THAT(CheckVaultUri(policy, uri), IsOk()) << uri;
  }
}

TEST(VaultUriTest, EverythingElseIsRefused) {
  const VaultAddressPolicy policy;
  const std::string long_label(64, 'a');
  const std::string uris[] = {
      "",
      "https://",
      "contoso.vault.azure.net",
      "//contoso.vault.azure.net",
      "http://contoso.vault.azure.net",              // scheme
      "HTTPS://contoso.vault.azure.net",             //
      "https:/contoso.vault.azure.net",              //
      "file:///contoso.vault.azure.net",             //
      "https://contoso.vault.azure.net/",            // path
      "https://contoso.vault.azure.net/keys/k",      //
      "https://contoso.vault.azure.net?x",           //
      "https://contoso.vault.azure.net#x",           //
      "https://evil.example?.vault.azure.net",       //
      "https://evil.example#.vault.azure.net",       //
      "https://evil.example/.vault.azure.net",       //
      "https://evil.example\\.vault.azure.net",      //
      "https://contoso.vault.azure.net:443",         // port
      "https://contoso.vault.azure.net:",            //
      "https://contoso:80.vault.azure.net",          //
      "https://user@contoso.vault.azure.net",        // user info
      "https://a:b@contoso.vault.azure.net",         //
      "https://contoso.vault.azure.net@evil.com",    //
      "https://contoso.vault.azure.net.",            // trailing dot
      "https://contoso..vault.azure.net",            //
      "https://.vault.azure.net",                    // no label
      "https://vault.azure.net",                     //
      "https://a.b.vault.azure.net",                 // two labels
      "https://xvault.azure.net",                    // suffix without its dot
      "https://contoso.vault.azure.net.evil.com",    //
      "https://contoso.vault.azure.com",             // another domain
      "https://Contoso.vault.azure.net",             // upper case
      "https://contoso.VAULT.azure.net",             //
      "https://cont\xc3\xb6so.vault.azure.net",      // IDN
      "https://contoso\xe3\x80\x82vault.azure.net",  // ideographic full stop
      "https://%63ontoso.vault.azure.net",           // escapes
      "https://contoso%2evault.azure.net",           //
      "https://contoso.vault.azure.net%00",          //
      std::string("https://contoso\0.vault.azure.net", 33),
      "https://contoso.vault.azure.net\r\nHost: evil",  //
      "https://con toso.vault.azure.net",
      "https://con_toso.vault.azure.net",
      "https://-contoso.vault.azure.net",
      "https://contoso-.vault.azure.net",
      "https://127.0.0.1",
      "https://2130706433",
      "https://0x7f.1",
      "https://[::1]",
      "https://[::ffff:169.254.169.254]",
      "https://169.254.169.254",
      "https://localhost",
      "https://" + long_label + ".vault.azure.net",
      "https://" + std::string(300, 'a'),
  };
  for (const std::string& uri : uris) {
    EXPECT_THAT(CheckVaultUri(policy, uri), FailsWith("FIELD_INVALID", "must be https://")) << uri;
  }
}

TEST(VaultUriTest, PunycodeIsALabelLikeAnyOther) {
  EXPECT_THAT(CheckVaultUri(VaultAddressPolicy(), "https://xn--contso-xxa.vault.azure.net"),
              IsOk());
}

// Whatever is accepted is exactly https:// + one label + a configured suffix.
TEST(VaultUriTest, NoMutationOfAGoodUriIsAcceptedUnlessItIsOne) {
  const VaultAddressPolicy policy;
  const std::string good = "https://contoso.vault.azure.net";
  const std::string bytes = std::string("./:@?#%[]\\ -_aZ0\0\x7f\xc3", 19);
  std::mt19937 random(11);
  int accepted = 0;
  for (int i = 0; i < 300'000; ++i) {
    std::string uri = good;
    for (size_t edits = 1 + random() % 3; edits > 0; --edits) {
      const size_t at = random() % (uri.size() + 1);
      switch (random() % 3) {
        case 0: uri.insert(at, 1, bytes[random() % bytes.size()]); break;
        case 1: uri.erase(at, 1); break;
        default: uri.replace(at, 1, 1, bytes[random() % bytes.size()]);
      }
    }
    if (!CheckVaultUri(policy, uri).ok()) continue;
    ++accepted;
    ASSERT_TRUE(absl::StartsWith(uri, "https://")) << uri;
    ASSERT_TRUE(absl::EndsWith(uri, ".vault.azure.net")) << uri;
    const std::string label = uri.substr(8, uri.size() - 8 - 16);
    ASSERT_EQ(label.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-"), std::string::npos)
        << uri;
  }
  EXPECT_GT(accepted, 1000) << "the mutations must reach good names too";
}

TEST(VaultUriTest, EachCloudHasDomainsAndResourcesOfItsOwn) {
  const VaultAddressPolicy policy;
  for (const char* domain :
       {"vault.azure.net", "managedhsm.azure.net", "vault.azure.cn", "managedhsm.azure.cn",
        "vault.usgovcloudapi.net", "managedhsm.usgovcloudapi.net"}) {
    const std::string uri = absl::StrCat("https://c.", domain);
    EXPECT_THAT(CheckVaultUri(policy, uri), IsOk());
    EXPECT_EQ(ResourceOf(policy, uri), absl::StrCat("https://", domain));
  }
}

TEST(VaultUriTest, PrivateSuffixesAreTheOperatorsToAdd) {
  VaultAddressPolicy policy;
  EXPECT_THAT(CheckVaultUri(policy, "https://c.vault.corp.example"),
              FailsWith("FIELD_INVALID", ""));
  policy.domains.push_back(VaultDomainFrom(".vault.corp.example=https://vault.azure.net"));
  EXPECT_THAT(CheckVaultUri(policy, "https://c.vault.corp.example"), IsOk());
  EXPECT_EQ(ResourceOf(policy, "https://c.vault.corp.example"), "https://vault.azure.net");
  EXPECT_THAT(CheckVaultDomain(policy.domains.back()), IsOk());
  for (const char* suffix : {"", ".", "vault.corp.example", ".example", ".corp.Example",
                             ".corp..example", ".corp.example.", ".*.example"}) {
    EXPECT_THAT(CheckVaultDomain({suffix, "https://x"}), FailsWith("FIELD_INVALID", "suffix"))
        << suffix;
  }
  for (const char* resource : {"", "http://x", "https://", "https://x/y", "https://u@x",
                               "https://user@x y", "https://x?y", "https://x#y", ".azure.net"}) {
    const std::string text = absl::StrCat(".vault.corp.example=", resource);
    EXPECT_THAT(CheckVaultDomain(VaultDomainFrom(text)), FailsWith("FIELD_INVALID", "resource"))
        << text;
  }
  EXPECT_EQ(VaultDomainFrom(".vault.corp.example=https://vault.azure.net/"),
            VaultDomainFrom(".vault.corp.example=https://vault.azure.net"))
      << "a challenge's resource is compared without its slash";
}

TEST(VaultUriTest, ALocalVaultIsAcceptedByItsWholeAddressOnly) {
  VaultAddressPolicy policy;
  policy.allowed_hosts = {"localhost:8443"};
  EXPECT_THAT(CheckVaultUri(policy, "https://localhost:8443"), IsOk());
  EXPECT_EQ(ResourceOf(policy, "https://localhost:8443"), policy.development_resource);
  for (const char* uri : {"https://localhost:8444", "https://localhost", "http://localhost:8443",
                          "https://localhost:8443/", "https://x@localhost:8443"}) {
    EXPECT_THAT(CheckVaultUri(policy, uri), FailsWith("FIELD_INVALID", "")) << uri;
  }
}

TEST(VaultUriTest, ALocalVaultOfTheCloudsNameIsAskedWithATokenAsThatOneWouldBe) {
  VaultAddressPolicy policy;
  policy.allowed_hosts = {"kv1.managedhsm.azure.net:8443", "hsm1.managedhsm.localhost:8443",
                          "kv1.vault.usgovcloudapi.net:8443", "kv1.vault.localhost:8443"};
  const char* const resources[] = {"https://managedhsm.azure.net", "https://managedhsm.azure.net",
                                   "https://vault.usgovcloudapi.net", "https://vault.azure.net"};
  for (size_t i = 0; i < policy.allowed_hosts.size(); ++i) {
    EXPECT_EQ(ResourceOf(policy, "https://" + policy.allowed_hosts[i]), resources[i]);
  }
}

TEST(VaultUriTest, WhatIsWrongWithAnAddressIsSaid) {
  const std::pair<const char*, const char*> kFaults[] = {
      {"", "is not set"},
      {"http://contoso.vault.azure.net", "does not begin with https://"},
      {"https://a@contoso.vault.azure.net", "has a user"},
      {"https://contoso.vault.azure.net/keys/k", "has a path"},
      {"https://contoso.vault.azure.net:443", "has a port"},
      {"https://contoso.vault.azure.net.", "ends with a dot"},
      {"https://Contoso.vault.azure.net", "has upper-case letters"},
      {"https://a.b.vault.azure.net", "has more than one label before .vault.azure.net"},
      {"https://con_toso.vault.azure.net", "has no vault's name before .vault.azure.net"},
      {"https://contoso.example", "is under no domain"}};
  for (const auto& [uri, fault] : kFaults) {
    EXPECT_THAT(CheckVaultUri(VaultAddressPolicy(), uri), FailsWith("FIELD_INVALID", fault)) << uri;
  }
}

TEST(VaultUriTest, KeyNamesAndVersionsAreWords) {
  const VaultAddressPolicy policy;
  const std::string vault = "https://contoso.vault.azure.net";
  EXPECT_THAT(CheckKeyRef(policy, {vault, "Key-1", "", ""}), IsOk());
  EXPECT_THAT(CheckKeyRef(policy, {vault, "k", "0123456789abcdef", ""}), IsOk());
  for (const char* name : {"", "a/b", "a?b", "..", "a%2fb", "a b", "k\n"}) {
    EXPECT_THAT(CheckKeyRef(policy, {vault, name, "", ""}), FailsWith("FIELD_INVALID", "key_name"))
        << name;
  }
  EXPECT_THAT(CheckKeyRef(policy, {vault, "k", "../k2", ""}),
              FailsWith("FIELD_INVALID", "key_version"));
  EXPECT_THAT(CheckKeyRef(policy, {vault, std::string(128, 'a'), "", ""}),
              FailsWith("FIELD_INVALID", "127"));
}

}  // namespace
}  // namespace cmkstore::vault
