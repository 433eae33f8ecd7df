#include "service/config/config_rules.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "absl/strings/str_cat.h"
#include "service/config/config_printer.h"
#include "service/rpc_server.h"
#include "service/server_setup.h"
#include "store/rocksdb/shard_set.h"
#include "tests/testing/temp_dir.h"

namespace cmkstore::service {
namespace {

constexpr char kIssuer[] = "issuers: [{issuer: a, jwks_file: /b}]\n";

std::string ProblemOf(const std::string& text) {
  const auto read = ReadConfig("c.yaml", text);
  EXPECT_TRUE(read.ok()) << read.status();
  return std::string(ToStatus(*read, CheckRules(read->config)).message());
}

void ExpectProblem(const std::string& text, const std::string& fragment) {
  EXPECT_NE(ProblemOf(kIssuer + text).find(fragment), std::string::npos)
      << text << ": " << ProblemOf(kIssuer + text);
}

TEST(ConfigRulesTest, ThePrintedConfigurationBreaksNone) {
  EXPECT_EQ(ProblemOf(PrintDefaultConfig()), "");
}

TEST(ConfigRulesTest, SomebodyMustBeAbleToCall) {
  EXPECT_NE(ProblemOf("").find("issuers: nobody could call"), std::string::npos);
  EXPECT_EQ(ProblemOf(kIssuer), "");
  EXPECT_EQ(ProblemOf("development: {enabled: true}\nlisteners: [{address: '127.0.0.1:0'}]"), "");
}

TEST(ConfigRulesTest, AWorkloadHasASubjectATenantAndRoles) {
  const auto with = [](const std::string& issuer, const std::string& workloads) {
    return ProblemOf(absl::StrCat("issuers: [{issuer: '", issuer, "', jwks_file: /b, workloads: [",
                                  workloads, "]}]"));
  };
  const std::string good = "{subject: s, tenant: t1, roles: [cmkstore.operator]}";
  EXPECT_EQ(with("a", good), "");
  EXPECT_NE(with("https://a/{tid}", good).find("issuers[0].workloads: they are for"),
            std::string::npos);
  EXPECT_NE(with("a", good + ", " + good).find("workloads[1].subject: it is given twice"),
            std::string::npos);
  EXPECT_NE(with("a", "{tenant: t1, roles: [r]}").find("write subject:"), std::string::npos);
  EXPECT_NE(with("a", "{subject: s, roles: [r]}").find("write tenant:"), std::string::npos);
  EXPECT_NE(with("a", "{subject: s, tenant: t1}").find("write roles:"), std::string::npos);
}

TEST(ConfigRulesTest, CombinationsThatWouldNotWorkAreToldAtTheirLine) {
  ExpectProblem("keys: {probe_interval: 45s}", "c.yaml:2:8: keys.probe_interval: with jitter");
  ExpectProblem("keys: {unhealthy_probe_interval: 31s}", "must not exceed keys.probe_interval");
  ExpectProblem("development: {enabled: true}",
                "listeners[0].address: development.enabled listens");
  ExpectProblem("development: {plaintext: true}", "development.enabled: true only");
  ExpectProblem("development: {vault_hosts: ['localhost:1']}", "development.enabled: true");
  for (const char* option : {"certificate_file", "key_file", "client_ca_file"}) {
    ExpectProblem(absl::StrCat("development: {enabled: true}\ntls: {", option, ": /f}"),
                  absl::StrCat("c.yaml:3:7: tls.", option, ": development.enabled serves with"));
  }
  for (const char* tenant : {"'a/b c'", "''"}) {
    ExpectProblem(absl::StrCat("operator_tenant: ", tenant), "c.yaml:2:1: operator_tenant: write");
  }
  ExpectProblem("listeners: [{address: nowhere}]", "c.yaml:2:14: listeners[0].address: write HOST");
  ExpectProblem("admin: {address: '9464'}", "admin.address: write HOST:PORT");
  ExpectProblem("vaults: {shared_directories: [{directory: contoso, tenants: ['*']}]}",
                "write directory: with the GUID");
  ExpectProblem("vaults: {shared_directories: [{directory: 00000000-0000-0000-0000-000000000000}]}",
                "write tenants:");
  ExpectProblem(
      "vaults: {shared_directories: [{directory: 00000000-0000-0000-0000-000000000000, "
      "tenants: ['a b']}]}",
      "or '*'");
  ExpectProblem("identities: [{kind: client-secret, tenant_id: t, client_id: c}]",
                "c.yaml:2:14: identities[0].secret_file: is needed");
  ExpectProblem("identities: [{secret_file: /s}]", "secret_file: kind managed-identity has none");
  ExpectProblem("identities: [{}, {}]", "another identity has this name");
  ExpectProblem("vaults: {allowed_suffixes: [vault.azure.net]}", "leading dot");
  ExpectProblem("quotas: {burst: 5}", "quotas.burst: it goes with quotas.requests_per_second");
  ExpectProblem("quotas: {tenants: [{documents: 5}]}", "quotas.tenants[0]: write tenant: with the");
  ExpectProblem("quotas: {tenants: [{tenant: t}, {tenant: t}]}",
                "quotas.tenants[1].tenant: it is given twice");
  ExpectProblem("quotas: {tenants: [{tenant: t, burst: 5}]}", "quotas.tenants[0].burst: it goes");
  EXPECT_EQ(ProblemOf(absl::StrCat(kIssuer,
                                   "quotas: {requests_per_second: 5, tenants: [{tenant: "
                                   "t, burst: 5}]}")),
            "");
  EXPECT_NE(ProblemOf("issuers: [{issuer: a}]").find("write jwks_file"), std::string::npos);
  EXPECT_NE(ProblemOf("issuers: [{issuer: a, jwks_file: /b, jwks_url: 'https://c'}]")
                .find("issuers[0]: it has jwks_file and jwks_url; keep one"),
            std::string::npos);
}

TEST(ConfigRulesTest, WhatAStartRefusesOfAnIdentityIsToldAtItsLine) {
  const std::string secret = "identities: [{kind: client-secret, client_id: c, secret_file: /s, ";
  ExpectProblem(secret + "tenant_id: t, authority: 'http://a'}]",
                "c.yaml:2:81: identities[0].authority: must be https://HOST");
  ExpectProblem(secret + "tenant_id: t, authority: 'login.example'}]", "identities[0].authority");
  ExpectProblem(secret + "tenant_id: ../x}]", "identities[0].tenant_id: must be the GUID");
  ExpectProblem(secret + "}]", "identities[0].tenant_id: is needed for the kind client-secret");
  ExpectProblem("identities: [{imds_url: 'ftp://x'}]", "identities[0].imds_url: must be http");
  ExpectProblem("identities: [{kind: workload-identity, authority: 'http://a'}]",
                "identities[0].authority: must be");
  EXPECT_EQ(ProblemOf(absl::StrCat(kIssuer, "identities: [{kind: workload-identity}]")), "")
      << "its pod may have what it lacks";
  ExpectProblem("vaults: {allowed_suffixes: ['.vault.corp.example=https://u@x']}",
                "vaults.allowed_suffixes[0]: its resource must be https://HOST");
}

TEST(ConfigRulesTest, AStartAsksItsEnvironmentForWhatAWorkloadIdentityLacks) {
  const testing::TempDir dir;
  SystemClock clock;
  const auto read =
      ReadConfig("c.yaml", absl::StrCat("data_dir: ", dir.path(),
                                        "\ndevelopment: {enabled: true, plaintext: "
                                        "true}\nlisteners: [{address: '127.0.0.1:0'}]\n"
                                        "identities: [{kind: workload-identity, client_id: c}]"));
  ASSERT_TRUE(read.ok()) << read.status();
  for (const char* name : {"AZURE_TENANT_ID", "AZURE_FEDERATED_TOKEN_FILE"}) unsetenv(name);
  const std::string refused(MakeServerOptions(*read, clock).status().message());
  EXPECT_NE(refused.find("c.yaml:4:14: identities[0].tenant_id: is needed, or AZURE_TENANT_ID"),
            std::string::npos)
      << refused;
  EXPECT_NE(refused.find("identities[0].token_file: is needed"), std::string::npos) << refused;
  setenv("AZURE_TENANT_ID", "contoso.onmicrosoft.com", 1);
  setenv("AZURE_FEDERATED_TOKEN_FILE", "/token", 1);
  EXPECT_TRUE(MakeServerOptions(*read, clock).ok());
  for (const char* name : {"AZURE_TENANT_ID", "AZURE_FEDERATED_TOKEN_FILE"}) unsetenv(name);
}

TEST(ConfigRulesTest, AnAddressIsTakenOnce) {
  const auto of = [](const std::string& first, const std::string& second,
                     const std::string& admin) {
    return ProblemOf(absl::StrCat(kIssuer, "listeners: [{address: '", first, "'}, {address: '",
                                  second, "'}]\nadmin: {address: '", admin, "'}"));
  };
  EXPECT_EQ(of("127.0.0.1:7443", "127.0.0.1:7444", "127.0.0.1:9464"), "");
  EXPECT_EQ(of("127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"), "") << "the system gives each its own";
  EXPECT_EQ(of("127.0.0.1:7443", "10.0.0.1:7443", "off"), "");
  EXPECT_NE(of("0.0.0.0:7443", "0.0.0.0:7443", "off")
                .find("c.yaml:2:41: listeners[1].address: listeners[0] takes this address"),
            std::string::npos);
  EXPECT_NE(of("unix:/a", "unix:/a", "off").find("listeners[1].address: listeners[0]"),
            std::string::npos);
  EXPECT_NE(of("0.0.0.0:7443", "unix:/a", "127.0.0.1:7443")
                .find("c.yaml:3:9: admin.address: listeners[0] takes this address"),
            std::string::npos);
}

// The defaults of the file are those of the code, so that a test of the code is a test of them.
TEST(ConfigRulesTest, TheDefaultsAreThoseOfTheCode) {
  const keycache::KeyCacheOptions from_file = ToKeyCacheOptions(DefaultConfig().keys()), code;
  EXPECT_EQ(from_file.entry_lifetime, code.entry_lifetime);
  EXPECT_EQ(from_file.probe_interval, code.probe_interval);
  EXPECT_EQ(from_file.probe_jitter, code.probe_jitter);
  EXPECT_EQ(from_file.unhealthy_probe_interval, code.unhealthy_probe_interval);
  EXPECT_EQ(from_file.confirm_delay, code.confirm_delay);
  EXPECT_EQ(from_file.negative_lifetime, code.negative_lifetime);
  EXPECT_EQ(from_file.vault_call_timeout, code.vault_call_timeout);
  EXPECT_EQ(from_file.max_hubs, code.max_hubs);
  EXPECT_EQ(from_file.max_waiters_per_key, code.max_waiters_per_key);
  EXPECT_EQ(from_file.max_calls, code.max_calls);
  EXPECT_EQ(from_file.max_calls_per_vault, code.max_calls_per_vault);
  EXPECT_EQ(DefaultConfig().requests().queues(), RpcServerOptions().queues);
  EXPECT_EQ(DefaultConfig().store().block_cache(), store::ShardSetOptions().block_cache_bytes);
  EXPECT_EQ(DefaultConfig().store().write_buffer(), store::ShardSetOptions().write_buffer_bytes);
}

}  // namespace
}  // namespace cmkstore::service
