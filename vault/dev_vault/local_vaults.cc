#include "vault/dev_vault/local_vaults.h"

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/errors.h"
#include "base/file.h"
#include "base/status_macros.h"

namespace cmkstore::dev_vault {
namespace {

using nlohmann::json;

constexpr size_t kMaxVaults = 2000;
constexpr absl::Duration kLimitWindow = absl::Seconds(10);

bool IsHostName(const std::string& name) {
  return !name.empty() && name.size() <= 253 && name.front() != '.' &&
         !absl::StrContains(name, "..") && std::all_of(name.begin(), name.end(), [](char c) {
           return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '.';
         });
}

}  // namespace

LocalVault::LocalVault(const std::string& dir, std::string name, VaultSettings settings,
                       SettableClock& clock)
    : settings_file_(dir + "/settings.json"),
      name_(std::move(name)),
      clock_(clock),
      keys_(dir + "/keys.json", clock),
      settings_(std::move(settings)) {}

absl::StatusOr<std::shared_ptr<LocalVault>> LocalVault::Open(const std::string& dir,
                                                             std::string name,
                                                             VaultSettings defaults,
                                                             SettableClock& clock) {
  std::error_code failed;
  std::filesystem::create_directories(dir, failed);
  if (failed)
    return StateInvalid(absl::StrCat("the folder of the vault ", name, " cannot be made"));
  if (absl::StrContains(name, ".managedhsm.")) defaults.kind = "managed_hsm";
  if (const std::optional<std::string> text = ReadFile(dir + "/settings.json"); text.has_value()) {
    try {
      const std::string wrong = ApplyChange(json::parse(*text), defaults);
      if (!wrong.empty()) return StateInvalid(absl::StrCat("settings of ", name, ": ", wrong));
    } catch (const json::exception&) {
      return StateInvalid(absl::StrCat("the settings of the vault ", name, " cannot be read"));
    }
  }
  std::shared_ptr<LocalVault> vault(
      new LocalVault(dir, std::move(name), std::move(defaults), clock));
  if (!vault->keys_.Load()) {
    return StateInvalid(absl::StrCat("keys.json of the vault ", vault->name(), " cannot be read"));
  }
  return vault;
}

VaultSettings LocalVault::settings() const {
  absl::MutexLock lock(&mutex_);
  return settings_;
}

std::string LocalVault::Change(const json& change) {
  absl::MutexLock lock(&mutex_);
  VaultSettings next = settings_;
  if (std::string wrong = ApplyChange(change, next); !wrong.empty()) return wrong;
  if (!WriteFileDurably(settings_file_, ToJson(next).dump(1))) {
    return "the settings cannot be written to disk";
  }
  settings_ = std::move(next);
  return "";
}

bool LocalVault::TakeFromLimit() {
  absl::MutexLock lock(&mutex_);
  if (settings_.limit_per_10s == 0) return true;
  const absl::Time now = clock_.MonotonicNow();
  while (!recent_.empty() && recent_.front() + kLimitWindow <= now) recent_.pop_front();
  if (recent_.size() >= static_cast<size_t>(settings_.limit_per_10s)) return false;
  recent_.push_back(now);
  return true;
}

LocalVaults::LocalVaults(std::string dir, VaultSettings defaults, SettableClock& clock)
    : dir_(std::move(dir)), defaults_(std::move(defaults)), clock_(clock) {}

std::string LocalVaults::NameOf(const std::string& host) {
  const bool bracketed = absl::StartsWith(host, "[");
  std::string name =
      absl::AsciiStrToLower(host.substr(0, bracketed ? host.find(']') + 1 : host.find(':')));
  if (name == "[::1]" || absl::StartsWith(name, "127.")) return "localhost";
  return IsHostName(name) ? name : "";
}

absl::StatusOr<std::shared_ptr<LocalVault>> LocalVaults::Find(const std::string& host) {
  const std::string name = NameOf(host);
  if (name.empty()) return StateInvalid("the Host header is no host name");
  absl::MutexLock lock(&mutex_);
  if (const auto found = vaults_.find(name); found != vaults_.end()) return found->second;
  if (vaults_.size() >= kMaxVaults) {
    return StateInvalid(absl::StrCat("this process already has ", kMaxVaults, " vaults"));
  }
  CMK_ASSIGN_OR_RETURN(std::shared_ptr<LocalVault> vault,
                       LocalVault::Open(absl::StrCat(dir_, "/", name), name, defaults_, clock_));
  vaults_[name] = vault;
  return vault;
}

std::string ResourceOf(const LocalVault& vault, const VaultSettings& settings) {
  for (const absl::string_view domain :
       {"vault.azure.net", "vault.azure.cn", "vault.usgovcloudapi.net", "managedhsm.azure.net",
        "managedhsm.azure.cn", "managedhsm.usgovcloudapi.net"}) {
    if (absl::EndsWith(vault.name(), absl::StrCat(".", domain))) {
      return absl::StrCat("https://", domain);
    }
  }
  return settings.is_managed_hsm() ? "https://managedhsm.azure.net" : "https://vault.azure.net";
}

}  // namespace cmkstore::dev_vault
