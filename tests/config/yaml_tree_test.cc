#include "service/config/yaml_tree.h"

#include <gtest/gtest.h>

#include <string>

#include "base/errors.h"
#include "service/config/config_reader.h"

namespace cmkstore::service {
namespace {

void ExpectRefused(const std::string& text, const std::string& fragment) {
  const auto parsed = ParseYaml(text);
  ASSERT_FALSE(parsed.ok()) << text.substr(0, 80);
  EXPECT_NE(std::string(parsed.status().message()).find(fragment), std::string::npos)
      << parsed.status();
}

TEST(YamlTreeTest, KeepsThePlaceOfEverything) {
  const auto root = ParseYaml("a: 1\nb:\n  - x\n  - y: 'z'\n");
  ASSERT_TRUE(root.ok()) << root.status();
  ASSERT_EQ(root->keys.size(), 2u);
  EXPECT_EQ(root->keys[1].text, "b");
  const YamlNode& list = root->items[1];
  ASSERT_EQ(list.items.size(), 2u);
  EXPECT_EQ(list.items[0].text, "x");
  EXPECT_EQ(list.items[1].items[0].text, "z");
  EXPECT_EQ(list.items[1].keys[0].line, 4);
  EXPECT_EQ(list.items[1].keys[0].column, 5);
}

TEST(YamlTreeTest, RefusesWhatIsNotPlainData) {
  ExpectRefused("a: &x 1\n", "1:4: anchors");
  ExpectRefused("a: [1]\nb: *x\n", "not YAML");
  ExpectRefused("a: !!python/object 1\n", "tags");
  ExpectRefused("a: 1\na: 2\n", "set twice, first in line 1");
  ExpectRefused("a: 1\n---\nb: 2\n", "second YAML document");
  ExpectRefused("? [1, 2]\n: 3\n", "plain text");
  ExpectRefused("a: [1\n", "not YAML");
  ExpectRefused("a:\n\tb: 1\n", "2:");
  for (const char* text : {"a:\n\tb: 1\n", "a:\n  b: 1\n\tc: 2\n", "a: 1\n\tb: 2\n"}) {
    ExpectRefused(text, "a tab may not indent; write spaces");
  }
}

TEST(YamlTreeTest, BombsAreRefusedBeforeTheyGrow) {
  ExpectRefused("a: &a [x]\nb: &b [*a, *a]\nc: [*b, *b]\n", "anchors");
  ExpectRefused(std::string(100'000, '['), "");
  ExpectRefused("a: " + std::string(17, '[') + std::string(17, ']'), "16 deep");
  std::string many = "[";
  for (int i = 0; i < 20'000; ++i) many += "1,";
  ExpectRefused(many + "]", "10,000");
  ExpectRefused(std::string(300 << 10, 'a'), "256 KiB");
}

// Whatever is broken in a file, the answer is a configuration or a refusal.
TEST(YamlTreeTest, EveryTruncationAndEveryChangedByteIsAnswered) {
  const std::string text =
      "# a comment\ndata_dir: /d\nlisteners:\n  - address: \"127.0.0.1:1\"\nkeys: {max_hubs: 7, "
      "probe_interval: 3s}\nissuers: [{issuer: 'x', jwks_file: |\n  y\n  }]\n";
  for (size_t length = 0; length <= text.size(); ++length) {
    const auto read = ReadConfig("f", text.substr(0, length));
    EXPECT_TRUE(read.ok() || HasReason(read.status(), "CONFIG_INVALID")) << length;
  }
  for (size_t at = 0; at < text.size(); ++at) {
    for (const char byte : {'\0', '\xff', ':', '[', '{', '*', '&', '\t', '"', '%'}) {
      std::string changed = text;
      changed[at] = byte;
      const auto read = ReadConfig("f", changed);
      EXPECT_TRUE(read.ok() || HasReason(read.status(), "CONFIG_INVALID")) << at;
    }
  }
}

}  // namespace
}  // namespace cmkstore::service
