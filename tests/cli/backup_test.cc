// Backups through the real cmkctl.

#include <filesystem>
#include <thread>

#include "tests/cli/served_cli.h"

namespace cmkstore {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::Output;

class CliBackupTest : public ServedCli {
 protected:
  CliBackupTest() {
    std::filesystem::create_directory(dir_.path() + "/backups");
    StartServer();
  }
  void Adjust(service::ServerOptions& options) override {
    options.data_dir = dir_.path() + "/" + data_;
    options.backup.directory = dir_.path() + "/backups";
    options.operator_tenant = kTenant;
    if (slow_) options.backup.bytes_per_second = 3'000;
    if (port_ != 0) options.listeners[0].address = absl::StrCat("127.0.0.1:", port_);
  }
  Output Operator(const std::vector<std::string>& arguments) {
    return Ctl(arguments, "", "operator");
  }

  std::string data_ = "data";
  bool slow_ = false;
  int port_ = 0;  // 0: any
};

TEST_F(CliBackupTest, ABackupIsMadeListedShownVerifiedAndRestored) {
  MakeHub();
  ASSERT_EQ(Ctl({"put", "h1/p1/flows/f1", WriteInput("f1.json", "{\"a\":1}")}).exit_code, 0);
  const Output made = Operator({"backup", "create"});
  ASSERT_EQ(made.exit_code, 0) << made.err;
  EXPECT_THAT(made.out,
              AllOf(HasSubstr("hubs       1"), HasSubstr("needs key"), HasSubstr("/keys/k1/")));
  const Output list = Operator({"backup", "list", "--json"});
  ASSERT_EQ(list.JsonLines().size(), 1u);
  const std::string name = list.Json()["name"];
  EXPECT_THAT(Operator({"backup", "list"}).out, HasSubstr("BACKUP"));
  const std::string id = name.substr(8);
  EXPECT_EQ(Operator({"backup", "show", id, "--json"}).Json()["hubs"], "1");
  const Output sound = Operator({"verify"});
  EXPECT_EQ(sound.exit_code, 0) << sound.err;
  EXPECT_THAT(sound.out, AllOf(HasSubstr("1 documents"), HasSubstr("all is as it must be")));
  EXPECT_EQ(Operator({"verify", "--backup", id}).exit_code, 0);
  EXPECT_EQ(Operator({"restore", id}).exit_code, 5) << "it has hubs";

  server_.reset();
  data_ = "other";
  StartServer();
  const Output restored = Operator({"restore", id});
  ASSERT_EQ(restored.exit_code, 0) << restored.err;
  EXPECT_THAT(restored.out, HasSubstr("1 hubs are back"));
  EXPECT_EQ(Ctl({"get", "h1/p1/flows/f1"}).out, "{\"a\":1}");
}

TEST_F(CliBackupTest, DamageHasItsExitCodeAndRefusalsTheirs) {
  MakeHub();
  ASSERT_EQ(Operator({"backup", "create"}).exit_code, 0);
  const std::string name = Operator({"backup", "list", "--json"}).Json()["name"];
  EXPECT_THAT(Operator({"verify", "--backup", name}).out,
              AllOf(HasSubstr("files of " + name), HasSubstr("1 hubs"), Not(HasSubstr("rows"))));
  for (const auto& file :
       std::filesystem::recursive_directory_iterator(dir_.path() + "/backups/files")) {
    if (file.is_regular_file()) std::filesystem::resize_file(file.path(), 0);
  }
  const Output damaged = Operator({"verify", "--backup", name});
  EXPECT_EQ(damaged.exit_code, 8);
  EXPECT_THAT(damaged.out,
              AllOf(HasSubstr("findings"), HasSubstr(name.substr(8)), HasSubstr("does not match")));
  const std::string manifest = dir_.path() + "/backups/" + name + ".json";
  ASSERT_TRUE(std::filesystem::exists(manifest));
  std::filesystem::resize_file(manifest, 10);
  EXPECT_THAT(Operator({"backup", "list"}).out, HasSubstr("its manifest does not read"));
  EXPECT_EQ(Operator({"backup", "show", "none"}).exit_code, 3);
  const Output owner = Ctl({"backup", "list"});
  EXPECT_EQ(owner.exit_code, 4) << "a tenant's owner is no operator of the server";
  EXPECT_EQ(Operator({"backup"}).exit_code, 2);
}

TEST_F(CliBackupTest, AStartedBackupIsWaitedForByItsName) {
  const Output started = Operator({"backup", "create", "--no-wait", "--json"});
  ASSERT_EQ(started.exit_code, 0) << started.err;
  const std::string operation = started.Json()["name"];
  EXPECT_THAT(operation, HasSubstr("server/operations/"));
  EXPECT_EQ(Operator({"operations", "wait", operation}).exit_code, 0);
}

TEST_F(CliBackupTest, AWaitGoesOnThroughARestartAndWithTheTokenOfAfterIt) {
  slow_ = true;
  StartServer();
  MakeHub();
  testing::RunOptions options;
  options.environment = Environment("operator");
  Output made;
  std::thread waiting([&] { made = testing::RunCmkctl({"backup", "create"}, options); });
  const absl::Time give_up = absl::Now() + absl::Seconds(20);
  while (absl::Now() < give_up &&
         Operator({"operations", "list", "--server", "--json"}).JsonLines().empty()) {
    absl::SleepFor(absl::Milliseconds(20));
  }
  port_ = server_->port();
  slow_ = false;
  StartServer();
  waiting.join();
  EXPECT_EQ(made.exit_code, 0) << made.err;
  EXPECT_THAT(made.err, HasSubstr("waiting on, for the operation goes on"));
  EXPECT_THAT(made.out, HasSubstr("hubs       1"));
}

TEST_F(CliBackupTest, OperationsOfTheServerAreListedForItsOperators) {
  MakeHub();
  ASSERT_EQ(Operator({"backup", "create"}).exit_code, 0);
  ASSERT_EQ(Operator({"verify"}).exit_code, 0);
  const Output list = Operator({"operations", "list", "--server"});
  ASSERT_EQ(list.exit_code, 0) << list.err;
  EXPECT_THAT(list.out, AllOf(HasSubstr("verify-integrity  done"), HasSubstr("backup")));
  const auto lines = Operator({"operations", "list", "--server", "--json"}).JsonLines();
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(Operator({"operations", "get", lines[0]["name"]}).exit_code, 0);
  const Output owner = Ctl({"operations", "list", "--server"});
  EXPECT_EQ(owner.exit_code, 4) << "not for a tenant's owner";
  EXPECT_EQ(owner.out, "") << "no heads of a list that was refused";
  EXPECT_EQ(Operator({"operations", "list", "--server", "h1"}).exit_code, 2);
  const Output whose = Operator({"operations", "list"});
  EXPECT_EQ(whose.exit_code, 2);
  EXPECT_THAT(whose.err, HasSubstr("HUB, or --server"));
}

}  // namespace
}  // namespace cmkstore
