#include "service/config/config_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "crypto/rsa_key.h"
#include "crypto/x509_mint.h"
#include "tests/testing/ended_certificate.h"
#include "tests/testing/temp_dir.h"

namespace cmkstore::service {
namespace {

TEST(ConfigFilesTest, EachFileAndDirectoryThatIsNotThereIsNamedByItsOption) {
  const testing::TempDir dir;
  const auto problems_of = [&](const std::string& base) {
    const auto read = ReadConfig(
        "c.yaml",
        absl::StrCat(
            "data_dir: ", base, "/data\n", "tls: {certificate_file: ", base, "/tls.crt}\n",
            "identities: [{kind: client-secret, tenant_id: t, client_id: c, secret_file: ", base,
            "/secret}]\n", "vaults: {ca_file: ", base, "/ca.pem}\n", "backup: {directory: ", base,
            "/backup, receipts_directory: ", base, "/receipts}\n"));
    EXPECT_TRUE(read.ok()) << read.status();
    std::vector<std::string> options;
    for (const ConfigProblem& one : CheckFiles(read->config)) options.push_back(one.path);
    return options;
  };
  EXPECT_THAT(
      problems_of(dir.path() + "/none"),
      ::testing::ElementsAre("identities[0].secret_file", "tls.certificate_file", "vaults.ca_file",
                             "backup.directory", "backup.receipts_directory"));
  for (const char* directory : {"backup", "receipts"}) {
    std::filesystem::create_directory(dir.path() + "/" + directory);
  }
  std::ofstream(dir.path() + "/data") << "in the way";
  EXPECT_THAT(problems_of(dir.path()), ::testing::Contains("data_dir"));
  std::filesystem::remove(dir.path() + "/data");
  for (const char* file : {"secret", "ca.pem"}) std::ofstream(dir.path() + "/" + file) << "x";
  const auto key = crypto::RsaPrivateKey::Generate(2048);
  ASSERT_TRUE(key.ok());
  std::ofstream(dir.path() + "/tls.crt") << crypto::MintCa(*key, "valid now");
  EXPECT_THAT(problems_of(dir.path()), ::testing::IsEmpty());
  std::ofstream(dir.path() + "/tls.crt") << testing::kEndedCertificate;
  EXPECT_THAT(problems_of(dir.path()), ::testing::ElementsAre("tls.certificate_file"));
}

}  // namespace
}  // namespace cmkstore::service
