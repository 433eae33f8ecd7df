#pragma once

#include <string>
#include <vector>

#include "tests/cli/command_line.h"
#include "tests/e2e/served_hub.h"

namespace cmkstore {

// The real cmkctl against a real server on loopback TCP and a dev vault over HTTPS.
class ServedCli : public ServedHub {
 protected:
  testing::Output Ctl(const std::vector<std::string>& arguments, const std::string& input = "",
                      const std::string& role = "owner") {
    testing::RunOptions options;
    options.environment = Environment(role);
    options.input = input;
    return testing::RunCmkctl(arguments, options);
  }
  testing::Output CtlOnTerminal(const std::vector<std::string>& arguments) {
    testing::RunOptions options;
    options.environment = Environment("owner");
    options.on_terminal = true;
    return testing::RunCmkctl(arguments, options);
  }
  std::vector<std::string> Environment(const std::string& role) {
    return {"HOME=" + dir_.path(), "PATH=/usr/bin:/bin",
            absl::StrCat("CMKSTORE_ENDPOINT=127.0.0.1:", server_->port()),
            absl::StrCat("CMKSTORE_TOKEN_FILE=", credentials_, "/", role, ".token")};
  }
  std::string VaultKey(const std::string& name = "k1") {
    return vault_->endpoints().url + "/keys/" + name;
  }
  // h1 under the vault's key and h1/p1.
  void MakeHub() {
    ASSERT_EQ(Ctl({"hub", "create", "h1", "--vault-key", VaultKey()}).exit_code, 0);
    ASSERT_EQ(Ctl({"project", "create", "h1/p1"}).exit_code, 0);
  }
  std::string WriteInput(const std::string& name, const std::string& text) {
    const std::string path = dir_.path() + "/" + name;
    EXPECT_TRUE(WriteFileDurably(path, text));
    return path;
  }
};

}  // namespace cmkstore
