// Creation, import, rotation, lists, deletion and recovery.

#include "tests/dev_vault/dev_vault_fixture.h"
#include "vault/dev_vault/key_record.h"

namespace cmkstore::dev_vault {
namespace {

class KeyLifeTest : public DevVaultTest {};

TEST_F(KeyLifeTest, KeysOfEverySizeAndLabelAreRealRsaKeys) {
  for (const int bits : {2048, 3072, 4096}) {
    const Reply made = Key("POST", absl::StrCat("/keys/k", bits, "/create"),
                           {{"kty", "RSA-HSM"}, {"key_size", bits}, {"tags", {{"a", "b"}}}});
    ASSERT_EQ(made.status, 200) << made.text;
    std::string n;
    ASSERT_TRUE(absl::WebSafeBase64Unescape(made.body["key"]["n"].get<std::string>(), &n));
    EXPECT_EQ(n.size() * 8, static_cast<size_t>(bits));
    EXPECT_EQ(made.body["key"]["kty"], "RSA-HSM");
    EXPECT_EQ(made.body["tags"]["a"], "b");
  }
  EXPECT_EQ(Key("POST", "/keys/k/create", {{"kty", "RSA"}, {"key_size", 1024}}).status, 400);
  EXPECT_EQ(Key("POST", "/keys/k/create", {{"kty", "EC"}}).status, 400);
  EXPECT_EQ(Key("POST", "/keys/k/create", {{"kty", 7}}).status, 400) << "of a wrong JSON type";
}

TEST_F(KeyLifeTest, ARotatedKeyWrapsWithItsNewVersionAndTheOldOneStillUnwraps) {
  const std::string first = Create("k1");
  const std::string wrapped = Wrapped(first);
  const Reply rotated = Key("POST", "/keys/k1/rotate");
  ASSERT_EQ(rotated.status, 200) << rotated.text;
  EXPECT_EQ(Operate("/keys/k1/wrapkey", kDek).body["kid"], rotated.body["key"]["kid"]);
  EXPECT_EQ(Operate(first + "/unwrapkey", wrapped).status, 200);
  const Reply versions = Key("GET", "/keys/k1/versions");
  ASSERT_EQ(versions.body["value"].size(), 2u);
  EXPECT_EQ(PathOf(versions.body["value"][0]["kid"]), first);
}

TEST_F(KeyLifeTest, NamesOfKeysAreTheSameInAnyCase) {
  const std::string first = Create("Hub-Key");
  const std::string wrapped = Wrapped("/keys/hub-key");
  const Reply read = Key("GET", "/keys/HUB-KEY");
  EXPECT_EQ(PathOf(read.body["key"]["kid"]), first) << "as it was made";
  EXPECT_NE(Create("hub-key"), first) << "another version of it";
  EXPECT_EQ(Key("GET", "/keys").body["value"].size(), 1u);
  EXPECT_EQ(Operate("/keys/hub-KEY" + first.substr(first.rfind('/')) + "/unwrapkey", wrapped)
                .body["value"],
            kDek);
  EXPECT_EQ(Key("DELETE", "/keys/hub-key").status, 200);
  EXPECT_EQ(Key("GET", "/keys/Hub-Key").status, 404);
  EXPECT_EQ(Key("POST", "/deletedkeys/HUB-key/recover").status, 200);
  Start();
  EXPECT_EQ(Key("GET", "/keys/hub-key/versions").body["value"].size(), 2u);
}

TEST_F(KeyLifeTest, ListsComeInPages) {
  const std::string version = Create("a");
  const json jwk = Key("GET", version).body["key"];
  for (const char* name : {"b", "c"}) Create(name);
  const std::string token = "Bearer " + token_;
  std::vector<std::string> names;
  std::string next = url_ + "/keys?api-version=7.4&maxresults=2";
  int pages = 0;
  for (; !next.empty() && pages < 5; ++pages) {
    const Reply page = Send("GET", next, "", {{"Authorization", token}});
    ASSERT_EQ(page.status, 200) << page.text;
    for (const json& item : page.body["value"]) names.push_back(PathOf(item["kid"]));
    next = page.body["nextLink"].is_null() ? "" : page.body["nextLink"].get<std::string>();
  }
  EXPECT_EQ(pages, 2);
  EXPECT_THAT(names, ::testing::ElementsAre("/keys/a", "/keys/b", "/keys/c"));
}

TEST_F(KeyLifeTest, EachRecoveryLevelDeletesAndPurgesAsItSays) {
  for (const std::string level :
       {"Purgeable", "Recoverable+Purgeable", "Recoverable", "Recoverable+ProtectedSubscription",
        "CustomizedRecoverable+Purgeable", "CustomizedRecoverable",
        "CustomizedRecoverable+ProtectedSubscription"}) {
    SCOPED_TRACE(level);
    std::string name = level;
    std::erase(name, '+');
    const std::string version = Create(name, {{"attributes", {{"recoveryLevel", level}}}});
    const json attributes = Key("GET", version).body["attributes"];
    EXPECT_EQ(attributes["recoveryLevel"], level);
    EXPECT_EQ(attributes.value("recoverableDays", 0), RecoverableDays(level));
    const Reply deleted = Key("DELETE", "/keys/" + name);
    ASSERT_EQ(deleted.status, 200) << deleted.text;
    const Reply purged = Key("DELETE", "/deletedkeys/" + name);
    if (level == "Purgeable") {
      EXPECT_FALSE(deleted.body.contains("recoveryId"));
      EXPECT_EQ(purged.status, 404) << "nothing is left";
    } else if (level.find("Purgeable") != std::string::npos) {
      EXPECT_EQ(purged.status, 204);
      EXPECT_EQ(Key("POST", "/deletedkeys/" + name + "/recover").status, 404);
    } else {
      EXPECT_EQ(purged.status, 403) << purged.text;
      EXPECT_EQ(Key("POST", "/deletedkeys/" + name + "/recover").status, 200);
    }
  }
  EXPECT_EQ(Key("POST", "/keys/k/create",
                {{"kty", "RSA"}, {"attributes", {{"recoveryLevel", "Perhaps"}}}})
                .status,
            400);
}

TEST_F(KeyLifeTest, ADeletedKeyIsListedAndComesBackWithAllItsVersions) {
  const std::string first = Create("k1");
  const std::string wrapped = Wrapped(first);
  Key("POST", "/keys/k1/rotate");
  Key("DELETE", "/keys/k1");
  EXPECT_EQ(Key("GET", "/keys").body["value"].size(), 0u);
  const Reply listed = Key("GET", "/deletedkeys");
  ASSERT_EQ(listed.body["value"].size(), 1u);
  EXPECT_EQ(listed.body["value"][0]["recoveryId"], url_ + "/deletedkeys/k1");
  EXPECT_TRUE(Key("GET", "/deletedkeys/k1").body.contains("scheduledPurgeDate"));
  EXPECT_EQ(Key("POST", "/deletedkeys/k1/recover").status, 200);
  EXPECT_EQ(Operate(first + "/unwrapkey", wrapped).body["value"], kDek);
  EXPECT_EQ(Key("GET", "/keys/k1/versions").body["value"].size(), 2u);
}

TEST_F(KeyLifeTest, ADeletedKeyIsGoneWhenItsRetentionIsOver) {
  Create("k1");
  Key("DELETE", "/keys/k1");
  const int64_t days = 24 * 60 * 60;
  Admin("PUT", "clock", {{"advance_seconds", 90 * days - 60}});
  token_ = Token("https://vault.azure.net");
  EXPECT_EQ(Key("GET", "/deletedkeys/k1").status, 200);
  Admin("PUT", "clock", {{"advance_seconds", 60}});
  EXPECT_EQ(Key("GET", "/deletedkeys/k1").status, 404);
  EXPECT_EQ(Key("POST", "/keys/k1/create", {{"kty", "RSA"}}).status, 200);
}

TEST_F(KeyLifeTest, SignaturesVerifyAndAChangedDigestDoesNot) {
  const std::string version = Create("k1");
  for (const std::string algorithm : {"RS256", "PS256"}) {
    const Reply made = Operate(version + "/sign", kDek, algorithm);
    ASSERT_EQ(made.status, 200) << made.text;
    json check = {{"alg", algorithm}, {"digest", kDek}, {"value", made.body["value"]}};
    EXPECT_EQ(Key("POST", version + "/verify", check).body["value"], true);
    check["digest"] = "BAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
    EXPECT_EQ(Key("POST", version + "/verify", check).body["value"], false);
  }
  EXPECT_EQ(Operate(version + "/sign", "AAEC", "RS256").status, 400) << "no digest of that size";
}

TEST_F(KeyLifeTest, EachHostIsAVaultOfItsOwn) {
  Create("k1");
  url_ = "https://kv1.vault.azure.net";
  EXPECT_EQ(Key("GET", "/keys/k1").status, 404);
  const std::string version = Create("k1");
  EXPECT_EQ(Key("GET", version).body["key"]["kid"], url_ + version);
  SetVault({{"firewall", {{"default_action", "deny"}}}}, "kv1.vault.azure.net");
  EXPECT_EQ(Key("GET", version).status, 403);
  url_ = vault_->endpoints().url;
  EXPECT_EQ(Key("GET", "/keys/k1").status, 200);
}

TEST_F(KeyLifeTest, PathsThatNobodyServesAreNotFound) {
  EXPECT_EQ(Key("GET", "/secrets/s1").status, 404);
  EXPECT_EQ(Key("POST", "/keys/k1/frobnicate").status, 404);
  EXPECT_EQ(Key("POST", "//keys/k1/wrapkey").status, 404);
  EXPECT_EQ(Key("GET", "/keys/bad_name").status, 404);
}

}  // namespace
}  // namespace cmkstore::dev_vault
