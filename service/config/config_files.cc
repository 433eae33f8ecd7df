#include "service/config/config_files.h"

#include <unistd.h>

#include <filesystem>
#include <optional>
#include <string>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/file.h"
#include "crypto/certificate_dates.h"
#include "service/jwks_cache.h"

namespace cmkstore::service {
namespace {

using Problems = std::vector<ConfigProblem>;

void NeedsFile(const std::string& option, const std::string& file, Problems& problems) {
  if (file.empty()) return;
  std::error_code ignored;
  if (std::filesystem::is_regular_file(file, ignored) && access(file.c_str(), R_OK) == 0) return;
  problems.push_back({option, absl::StrCat(file, " cannot be read; name a readable file")});
}

void NeedsKeySet(const std::string& option, const std::string& file, Problems& problems) {
  if (file.empty()) return;
  const std::optional<std::string> text = ReadFile(file);
  if (!text.has_value()) return NeedsFile(option, file, problems);
  const absl::Status usable = ParseJwks(*text).status();
  if (usable.ok()) return;
  problems.push_back({option, absl::StrCat(file, " is no key set: ", usable.message())});
}

// A start takes it, as there is no other; here it can still be replaced.
void NeedsCurrentCertificate(const std::string& option, const std::string& file,
                             Problems& problems) {
  const std::optional<std::string> pem = ReadFile(file);
  if (!pem.has_value()) return NeedsFile(option, file, problems);
  const absl::Status current = crypto::CheckCertificateIsCurrent(*pem, absl::Now());
  if (current.ok()) return;
  problems.push_back({option, absl::StrCat(file, ": ", current.message())});
}

void NeedsDirectory(const std::string& option, const std::string& directory, Problems& problems) {
  std::error_code ignored;
  if (std::filesystem::is_directory(directory, ignored) &&
      access(directory.c_str(), R_OK | W_OK | X_OK) == 0) {
    return;
  }
  problems.push_back(
      {option, absl::StrCat(directory, " is no directory that this user can write; make it")});
}

}  // namespace

std::vector<ConfigProblem> CheckFiles(const config::v1::Config& config) {
  Problems problems;
  for (int i = 0; i < config.identities_size(); ++i) {
    const config::v1::Identity& identity = config.identities(i);
    const std::string path = absl::StrCat("identities[", i, "]");
    NeedsFile(path + ".secret_file", identity.secret_file(), problems);
    NeedsFile(path + ".certificate_file", identity.certificate_file(), problems);
    NeedsFile(path + ".token_file", identity.token_file(), problems);
  }
  for (int i = 0; i < config.issuers_size(); ++i) {
    NeedsKeySet(absl::StrCat("issuers[", i, "].jwks_file"), config.issuers(i).jwks_file(),
                problems);
  }
  NeedsCurrentCertificate("tls.certificate_file", config.tls().certificate_file(), problems);
  NeedsFile("vaults.ca_file", config.vaults().ca_file(), problems);
  // A start makes it, in whatever of its path is there.
  std::filesystem::path data = config.data_dir();
  std::error_code ignored;
  while (data.has_relative_path() && !std::filesystem::exists(data, ignored)) {
    data = data.parent_path();
  }
  NeedsDirectory("data_dir", data.string(), problems);
  const config::v1::Backup& backup = config.backup();
  if (!backup.directory().empty()) {
    NeedsDirectory("backup.directory", backup.directory(), problems);
  }
  if (!backup.receipts_directory().empty()) {
    NeedsDirectory("backup.receipts_directory", backup.receipts_directory(), problems);
  }
  return problems;
}

}  // namespace cmkstore::service
