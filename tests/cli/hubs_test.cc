// Hubs, projects, keys, operations and status through the real cmkctl.

#include "tests/cli/served_cli.h"

namespace cmkstore {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::Output;

class CliHubsTest : public ServedCli {};

TEST_F(CliHubsTest, AHubLivesFromCreateToUndelete) {
  const Output made = Ctl({"hub", "create", "h1", "--vault-key", VaultKey(), "--display-name",
                           "Retail", "--outage-grace", "30m"});
  EXPECT_EQ(made.exit_code, 0) << made.err;
  EXPECT_THAT(made.out, AllOf(HasSubstr("ACTIVE"), HasSubstr("Retail"), HasSubstr("30m")));
  EXPECT_EQ(Ctl({"hub", "create", "h2", "--platform-managed"}).exit_code, 0);
  const Output list = Ctl({"hub", "list"});
  EXPECT_THAT(list.out, AllOf(HasSubstr("HUB  STATE   CREATED"), HasSubstr("\nh1   ACTIVE"),
                              HasSubstr("\nh2   ACTIVE"), HasSubstr("  platform")));
  EXPECT_EQ(Ctl({"hub", "update", "h1", "--display-name", "Retail EU"}).exit_code, 0);
  // The display name is sealed: it shows while the hub's keys are in use.
  EXPECT_EQ(Ctl({"project", "create", "h1/p1"}).exit_code, 0);
  const Output hub = Ctl({"hub", "get", "h1", "--json"});
  EXPECT_EQ(hub.Json()["displayName"], "Retail EU");
  EXPECT_EQ(hub.Json()["outageGrace"], "1800s") << "what was not named stays";
  EXPECT_EQ(Ctl({"hub", "delete", "h2", "--retention", "240h"}).exit_code, 0);
  EXPECT_EQ(Ctl({"hub", "list", "--json"}).JsonLines().size(), 1u);
  EXPECT_EQ(Ctl({"hub", "list", "--deleted", "--json"}).JsonLines().size(), 2u);
  EXPECT_EQ(Ctl({"hub", "undelete", "h2", "--json"}).Json()["state"], "ACTIVE");
}

TEST_F(CliHubsTest, RefusalsHaveTheExitCodeOfTheirClassAndSayWhatToDo) {
  MakeHub();
  const Output again = Ctl({"hub", "create", "h1", "--vault-key", VaultKey()});
  EXPECT_EQ(again.exit_code, 5);
  EXPECT_THAT(again.err, HasSubstr("[HUB_ALREADY_EXISTS]"));
  const Output missing = Ctl({"hub", "get", "none"});
  EXPECT_EQ(missing.exit_code, 3);
  EXPECT_THAT(missing.err, HasSubstr("`cmkctl hub list`"));
  EXPECT_EQ(Ctl({"hub", "delete", "h1"}, "", "reader").exit_code, 4);
  const Output unfit = Ctl({"hub", "create", "h9", "--vault-key", VaultKey("none")});
  EXPECT_EQ(unfit.exit_code, 6);
  EXPECT_THAT(unfit.err, HasSubstr("[CUSTOMER_KEY_UNFIT]"));
  EXPECT_EQ(Ctl({"hub", "undelete", "h1"}).exit_code, 5) << "not deleted: a state, not a key";
  EXPECT_EQ(Ctl({"hub", "update", "h1", "--allow-ip", "nonsense"}).exit_code, 9);
  EXPECT_EQ(Ctl({"hub", "create", "h3"}).exit_code, 2) << "no key named";
  EXPECT_EQ(Ctl({"hub", "create", "h3", "--vault-key", "k1"}).exit_code, 2);
  EXPECT_EQ(Ctl({"hub", "get", "h1/p1"}).exit_code, 2) << "a project is no hub";
  EXPECT_EQ(Ctl({"hub", "update", "h1"}).exit_code, 2) << "nothing to change";
  EXPECT_EQ(Ctl({"hub", "frobnicate"}).exit_code, 2);
}

TEST_F(CliHubsTest, ADryRunSaysThatNothingWasMade) {
  const Output tried = Ctl({"hub", "create", "h1", "--vault-key", VaultKey(), "--dry-run"});
  EXPECT_EQ(tried.exit_code, 0) << tried.err;
  EXPECT_THAT(tried.out, AllOf(HasSubstr("Nothing was made: this was a dry run."),
                               Not(HasSubstr("ACTIVE")), Not(HasSubstr("uid"))));
  const auto json =
      Ctl({"hub", "create", "h1", "--vault-key", VaultKey(), "--dry-run", "--json"}).Json();
  EXPECT_EQ(json["dry_run"], true) << "no program must take it for a hub";
  EXPECT_EQ(json["hub"]["encryption"]["customerManaged"]["keyName"], "k1");
  EXPECT_FALSE(json.contains("name") || json["hub"].contains("uid") || json["hub"].contains("etag"))
      << json;
  EXPECT_EQ(Ctl({"hub", "list", "--json"}).out, "");
  MakeHub();
  const Output changed = Ctl({"hub", "update", "h1", "--display-name", "x", "--dry-run"});
  EXPECT_THAT(changed.out, HasSubstr("Nothing was changed: this was a dry run."));
}

TEST_F(CliHubsTest, AdviceFitsWhatFailed) {
  const Output unfit = Ctl({"hub", "create", "h9", "--vault-key", VaultKey("none")});
  EXPECT_THAT(unfit.err, AllOf(HasSubstr("az keyvault key create"), Not(HasSubstr("az role")),
                               HasSubstr("key check --vault-key URL")));
  MakeHub();
  ASSERT_EQ(Ctl({"put", "h1/p1/notes/n1"}, "{}").exit_code, 0);
  EXPECT_THAT(Ctl({"project", "delete", "h1/p1"}).err, HasSubstr("--force"));
}

TEST_F(CliHubsTest, AHubUnderThePlatformsKeyPassesItsCheck) {
  ASSERT_EQ(Ctl({"hub", "create", "h1", "--platform-managed"}).exit_code, 0);
  const Output check = Ctl({"key", "check", "h1"});
  EXPECT_EQ(check.exit_code, 0) << check.err;
  EXPECT_THAT(check.out, AllOf(HasSubstr("[ok]"), HasSubstr("platform_key"),
                               HasSubstr("The key can be used."), Not(HasSubstr("vault URI"))));
}

TEST_F(CliHubsTest, ErrorsAreJsonForPrograms) {
  const Output missing = Ctl({"hub", "get", "none", "--json"});
  const auto error = nlohmann::json::parse(missing.err)["error"];
  EXPECT_EQ(error["code"], "NOT_FOUND");
  EXPECT_EQ(error["reason"], "HUB_NOT_FOUND");
  EXPECT_EQ(error["exit_code"], 3);
  EXPECT_EQ(missing.out, "");
}

TEST_F(CliHubsTest, ADryRunChecksTheKeyAndCreatesNothing) {
  EXPECT_EQ(Ctl({"hub", "create", "h1", "--vault-key", VaultKey(), "--dry-run"}).exit_code, 0);
  EXPECT_EQ(Ctl({"hub", "create", "h2", "--vault-key", VaultKey("none"), "--dry-run"}).exit_code,
            6);
  EXPECT_EQ(Ctl({"hub", "list", "--json"}).out, "");
}

TEST_F(CliHubsTest, ProjectsAreMadeShownChangedAndDeleted) {
  MakeHub();
  EXPECT_EQ(Ctl({"project", "create", "h1/p1"}).exit_code, 5);
  EXPECT_EQ(Ctl({"project", "update", "h1/p1", "--display-name", "Retail"}).exit_code, 0);
  EXPECT_EQ(Ctl({"project", "get", "h1/p1", "--json"}).Json()["displayName"], "Retail");
  EXPECT_THAT(Ctl({"project", "list", "h1"}).out, HasSubstr("\nh1/p1"));
  EXPECT_EQ(Ctl({"put", "h1/p1/flows/f1"}, "{}").exit_code, 0);
  EXPECT_EQ(Ctl({"project", "delete", "h1/p1"}).exit_code, 5) << "it has a document";
  EXPECT_EQ(Ctl({"project", "delete", "h1/p1", "--force"}).exit_code, 0);
  EXPECT_EQ(Ctl({"project", "get", "h1/p1"}).exit_code, 3);
}

TEST_F(CliHubsTest, KeyCheckIsAChecklistThatSaysWhatToRun) {
  MakeHub();
  const Output good = Ctl({"key", "check", "h1"});
  EXPECT_EQ(good.exit_code, 0);
  EXPECT_THAT(good.out, AllOf(HasSubstr("[ok]  unwrap"), HasSubstr("purge_protection"),
                              HasSubstr("The key can be used."), Not(HasSubstr("To do"))));
  SetKeyEnabled(false);
  const Output disabled = Ctl({"key", "check", "--vault-key", VaultKey()});
  EXPECT_EQ(disabled.exit_code, 6);
  EXPECT_THAT(disabled.out, AllOf(HasSubstr("[FAILED]"), HasSubstr("To do:"),
                                  HasSubstr("enabled: az keyvault key set-attributes"),
                                  HasSubstr("--enabled true")));
  EXPECT_EQ(Ctl({"key", "check", "h1", "--json"}).Json()["checks"][0]["result"], "PASSED");
  const Output as_another = Ctl({"key", "check", "h1", "--identity", "another"});
  EXPECT_EQ(as_another.exit_code, 6);
  EXPECT_THAT(as_another.out, HasSubstr("is not the name of an identity of this server"));
}

TEST_F(CliHubsTest, LockRefusesContentUntilUnlock) {
  MakeHub();
  ASSERT_EQ(Ctl({"put", "h1/p1/flows/f1"}, "{}").exit_code, 0);
  const Output locked = Ctl({"key", "lock", "h1"});
  EXPECT_THAT(locked.out, AllOf(HasSubstr("LOCKED_BY_PUSH"), HasSubstr("keys wiped")));
  const Output refused = Ctl({"get", "h1/p1/flows/f1"});
  EXPECT_EQ(refused.exit_code, 6);
  EXPECT_THAT(refused.err, AllOf(HasSubstr("[HUB_LOCKED]"), HasSubstr("cmkctl key unlock HUB")));
  EXPECT_EQ(Ctl({"key", "unlock", "h1"}, "", "reader").exit_code, 4);
  EXPECT_EQ(Ctl({"key", "unlock", "h1"}, "", "key_admin").exit_code, 0);
  EXPECT_EQ(Ctl({"get", "h1/p1/flows/f1"}).out, "{}");
}

TEST_F(CliHubsTest, RotateMakesAGenerationAndRewritesNoDocument) {
  MakeHub();
  ASSERT_EQ(Ctl({"put", "h1/p1/flows/f1"}, "{}").exit_code, 0);
  const auto before = Ctl({"get", "h1/p1/flows/f1", "--json"}).Json();
  const Output rotated = Ctl({"key", "rotate", "h1"});
  EXPECT_EQ(rotated.exit_code, 0) << rotated.err;
  EXPECT_THAT(rotated.out, HasSubstr("generation 2 seals from now on"));
  EXPECT_EQ(Ctl({"key", "status", "h1", "--json"}).Json()["generations"].size(), 2u);
  EXPECT_EQ(Ctl({"get", "h1/p1/flows/f1", "--json"}).Json(), before);
}

TEST_F(CliHubsTest, OperationsAreListedShownAwaitedAndCancelled) {
  MakeHub();
  const Output started = Ctl({"key", "rotate", "h1", "--no-wait", "--json"});
  ASSERT_EQ(started.exit_code, 0) << started.err;
  const std::string full = started.Json()["name"];
  const std::string name = "h1/" + full.substr(full.rfind('/') + 1);
  const Output awaited = Ctl({"operations", "wait", name, "--timeout", "20s"});
  EXPECT_EQ(awaited.exit_code, 0) << awaited.err;
  EXPECT_THAT(awaited.out, HasSubstr("done"));
  EXPECT_THAT(Ctl({"operations", "list", "h1"}).out, HasSubstr(name + "  rotate-dek  done"));
  EXPECT_EQ(Ctl({"operations", "get", full, "--json"}).Json()["done"], true);
  EXPECT_EQ(Ctl({"operations", "cancel", name}).exit_code, 0) << "of a finished one: nothing";
  EXPECT_EQ(Ctl({"operations", "get", "h1/none"}).exit_code, 3);
  EXPECT_EQ(Ctl({"operations", "get", "h1"}).exit_code, 2);
}

TEST_F(CliHubsTest, StatusShowsServerIdentityAndHubsByState) {
  MakeHub();
  ASSERT_EQ(Ctl({"hub", "create", "h2", "--platform-managed"}).exit_code, 0);
  ASSERT_EQ(Ctl({"key", "lock", "h2"}).exit_code, 0);
  const auto status = Ctl({"status", "--json"}).Json();
  EXPECT_EQ(status["health"], "SERVING");
  EXPECT_EQ(status["services"]["cmkstore.v1.SearchService"], "SERVING");
  EXPECT_EQ(status["tenant"], kTenant) << "from the token";
  EXPECT_EQ(status["subject"], "dev-owner");
  EXPECT_EQ(status["roles"][0], "cmkstore.owner");
  EXPECT_EQ(status["hubs"], (nlohmann::json{{"ACTIVE", 1}, {"LOCKED", 1}}));
  EXPECT_THAT(Ctl({"status"}).out, HasSubstr("2  (1 ACTIVE, 1 LOCKED)"));
}

TEST_F(CliHubsTest, AnUnreachableServerIsUnavailableAndTheErrorSaysWhatToTry) {
  testing::RunOptions nowhere;
  nowhere.environment = {"CMKSTORE_ENDPOINT=127.0.0.1:1", "HOME=/nonexistent"};
  const Output status = testing::RunCmkctl({"status"}, nowhere);
  EXPECT_EQ(status.exit_code, 7);
  EXPECT_THAT(status.err, HasSubstr("is the server running"));
  nowhere.environment = {"HOME=/nonexistent"};
  const Output unsaid = testing::RunCmkctl({"status"}, nowhere);
  EXPECT_EQ(unsaid.exit_code, 2);
  EXPECT_THAT(unsaid.err, HasSubstr("CMKSTORE_ENDPOINT"));
}

TEST_F(CliHubsTest, AProfileConnectsAndFlagsAndEnvironmentComeFirst) {
  MakeHub();
  WriteInput("profiles.ini", absl::StrCat("[here]\nendpoint = 127.0.0.1:", server_->port(),
                                          "\ntoken_file = ", credentials_,
                                          "/reader.token\n[gone]\nendpoint = 127.0.0.1:1\n"));
  testing::RunOptions options;
  options.environment = {"CMKSTORE_CONFIG=" + dir_.path() + "/profiles.ini"};
  EXPECT_EQ(testing::RunCmkctl({"hub", "get", "h1", "--profile", "here"}, options).exit_code, 0);
  EXPECT_EQ(testing::RunCmkctl({"status", "--profile", "gone"}, options).exit_code, 7);
  const Output unknown = testing::RunCmkctl({"hub", "list", "--profile", "other"}, options);
  EXPECT_EQ(unknown.exit_code, 2);
  EXPECT_THAT(unknown.err, HasSubstr("it has: here, gone"));
  options.environment.push_back(absl::StrCat("CMKSTORE_ENDPOINT=127.0.0.1:", server_->port()));
  const Output here = testing::RunCmkctl({"--profile", "gone", "status"}, options);
  EXPECT_EQ(here.exit_code, 0) << "the environment's server";
  EXPECT_THAT(here.out, HasSubstr("no token"));
  options.environment.back() = "CMKSTORE_ENDPOINT=127.0.0.1:1";
  EXPECT_EQ(testing::RunCmkctl({"--profile", "here", "hub", "get", "h1", "--endpoint",
                                absl::StrCat("127.0.0.1:", server_->port())},
                               options)
                .exit_code,
            0);
}

}  // namespace
}  // namespace cmkstore
