#include "service/config/config_reader.h"

#include <gtest/gtest.h>

#include <string>

#include "service/config/config_printer.h"
#include "service/config/config_value.h"
#include "service/timestamps.h"

namespace cmkstore::service {
namespace {

std::string ProblemOf(const std::string& text) {
  return std::string(ReadConfig("c.yaml", text).status().message());
}

TEST(ConfigReaderTest, AnEmptyFileIsTheDefaults) {
  const auto read = ReadConfig("c.yaml", "");
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->config.SerializeAsString(), DefaultConfig().SerializeAsString());
  EXPECT_EQ(read->config.listeners(0).address(), "0.0.0.0:7443");
  EXPECT_EQ(ToAbsl(read->config.keys().probe_interval()), absl::Seconds(30));
  EXPECT_EQ(read->config.store().block_cache(), 128u << 20);
  EXPECT_EQ(read->config.vaults().allowed_suffixes_size(), 6);
}

TEST(ConfigReaderTest, ValuesOverrideDefaultsAndListEntriesGetTheirs) {
  const auto read = ReadConfig("c.yaml", R"(
store: {block_cache: 1GiB, shards: 8}
keys: {probe_interval: 1s500ms, probe_jitter: 0.25}
listeners: [{address: "127.0.0.1:1"}, {}]
)");
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->config.store().block_cache(), 1u << 30);
  EXPECT_EQ(read->config.store().shards(), 8u);
  EXPECT_EQ(ToAbsl(read->config.keys().probe_interval()), absl::Milliseconds(1500));
  EXPECT_EQ(read->config.keys().probe_jitter(), 0.25);
  EXPECT_EQ(read->config.listeners(1).address(), "0.0.0.0:7443");
}

TEST(ConfigReaderTest, EveryProblemIsToldWithFileLineAndWhatToWrite) {
  EXPECT_EQ(
      ProblemOf("keys:\n  probe_intervall: 3s\n  entry_lifetime: 30\nsomething: 1\n"),
      "c.yaml:2:3: keys.probe_intervall: no such option; did you mean probe_interval?\n"
      "c.yaml:3:19: keys.entry_lifetime: \"30\" is not one; write a duration with its unit, "
      "such as 30s, 5m or 1h30m\n"
      "c.yaml:4:1: something: no such option; here there are: data_dir, listeners, tls, "
      "issuers, identities, vaults, admin, requests, shutdown, store, keys, search, usage, quotas, "
      "log, development, operator_tenant, backup, integrity");
  EXPECT_EQ(ProblemOf("store: {block_cache: 100MB}"),
            "c.yaml:1:22: store.block_cache: \"100MB\" is not one; write a size with its unit KiB, "
            "MiB or GiB, such as 64MiB");
  EXPECT_EQ(ProblemOf("store: {shards: 4MiB}"),
            "c.yaml:1:17: store.shards: \"4MiB\" is not one; write a whole number without a unit, "
            "such as 64");
  EXPECT_EQ(ProblemOf("store: {shards: 65}"),
            "c.yaml:1:17: store.shards: 65 is out of bounds; write a value from 1 to 64");
  EXPECT_EQ(ProblemOf("development: {enabled: yes}"),
            "c.yaml:1:24: development.enabled: \"yes\" is neither; write true or false");
  EXPECT_EQ(
      ProblemOf("log: {level: [a]}"),
      "c.yaml:1:14: log.level: it is one value, not several; write one of trace, debug, info, "
      "warning, error");
  EXPECT_EQ(ProblemOf("data_dir:\n"), "c.yaml:1:1: data_dir: it has no value; write text");
  EXPECT_EQ(ProblemOf("listeners: x"),
            "c.yaml:1:12: listeners: it is a list; write each entry on a line that begins with "
            "`- `");
  EXPECT_EQ(ProblemOf("keys: 3"),
            "c.yaml:1:7: keys: write its options below it, as NAME: VALUE lines");
}

TEST(ConfigReaderTest, WhatIsNoMappingIsToldSo) {
  for (const char* text : {"- data_dir: /d\n", "words\n"}) {
    EXPECT_EQ(ProblemOf(text),
              "c.yaml:1:1: the file must be a mapping: write options as NAME: VALUE lines");
  }
}

TEST(ConfigReaderTest, ANumberHasNoLeadingZero) {
  for (const char* text : {"store: {shards: 010}", "store: {block_cache: 064MiB}",
                           "store: {shards: +8}", "requests: {queues: 00}"}) {
    EXPECT_NE(ProblemOf(text).find("is not one; write"), std::string::npos) << text;
  }
  EXPECT_EQ(ProblemOf("quotas: {documents: 0}"), "");
}

TEST(ConfigReaderTest, AnEmptyListIsNotTakenForItsDefault) {
  for (const std::string list : {"listeners", "identities", "vaults.allowed_suffixes"}) {
    const size_t dot = list.find('.');
    const std::string text = dot == std::string::npos
                                 ? list + ": []"
                                 : list.substr(0, dot) + ": {" + list.substr(dot + 1) + ": []}";
    EXPECT_NE(ProblemOf(text).find(list + ": it is empty; write at least one entry"),
              std::string::npos)
        << list;
  }
  EXPECT_EQ(ProblemOf("issuers: []"), "") << "has no default";
}

TEST(ConfigReaderTest, NeitherNanNorEndlessIsANumber) {
  for (const char* text :
       {"keys: {probe_jitter: nan}", "keys: {entry_lifetime: inf}", "keys: {probe_jitter: inf}",
        "store: {shards: -1}", "store: {block_cache: 99999999999999999999MiB}",
        "keys: {entry_lifetime: 0}", "keys: {entry_lifetime: -5s}"}) {
    EXPECT_NE(ProblemOf(text), "") << text;
  }
}

void CheckSettings(const google::protobuf::Descriptor& section) {
  for (int i = 0; i < section.field_count(); ++i) {
    const google::protobuf::FieldDescriptor& field = *section.field(i);
    EXPECT_FALSE(SettingOf(field).help().empty()) << field.full_name();
    if (IsSection(field)) {
      CheckSettings(*field.message_type());
      continue;
    }
    const bool is_number = field.cpp_type() != google::protobuf::FieldDescriptor::CPPTYPE_STRING &&
                           field.cpp_type() != google::protobuf::FieldDescriptor::CPPTYPE_BOOL;
    EXPECT_EQ(is_number, !SettingOf(field).min().empty() && !SettingOf(field).max().empty())
        << field.full_name() << ": a number needs its bounds";
    // What an entry of a tenant does not say is said above it.
    const bool says_otherwise = &section == config::v1::TenantQuota::descriptor();
    EXPECT_EQ(is_number && !says_otherwise, is_number && !SettingOf(field).default_().empty())
        << field.full_name();
  }
}

TEST(ConfigReaderTest, EveryOptionHasItsHelpAndEveryNumberItsBoundsAndDefault) {
  CheckSettings(*config::v1::Config::descriptor());
}

TEST(ConfigReaderTest, ThePrintedConfigurationReadsAsTheDefaults) {
  const auto read = ReadConfig("c.yaml", PrintDefaultConfig());
  ASSERT_TRUE(read.ok()) << read.status();
  config::v1::Config printed = read->config;
  EXPECT_EQ(printed.issuers(0).workloads_size(), 0);
  printed.clear_issuers();  // its example
  EXPECT_EQ(printed.SerializeAsString(), DefaultConfig().SerializeAsString());
}

}  // namespace
}  // namespace cmkstore::service
