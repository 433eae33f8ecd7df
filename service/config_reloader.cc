#include "service/config_reloader.h"

#include <google/protobuf/util/message_differencer.h>

#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/errors.h"
#include "base/file.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "crypto/digest.h"
#include "service/config/config_rules.h"
#include "service/config/config_value.h"
#include "service/server_setup.h"

namespace cmkstore::service {
namespace {

using google::protobuf::Message;
using Path = std::vector<google::protobuf::util::MessageDifferencer::SpecificField>;

// The configuration without what takes effect at once.
config::v1::Config NeedingRestart(config::v1::Config config) {
  config.clear_issuers();
  config.clear_quotas();
  config.mutable_log()->clear_level();
  return config;
}

// The options in which two configurations differ, as a file writes them: "requests.queues",
// "identities[1].client_id". Their values are nobody's business.
class ChangedOptions final : public google::protobuf::util::MessageDifferencer::Reporter {
 public:
  const std::set<std::string>& paths() const { return paths_; }
  void ReportAdded(const Message&, const Message&, const Path& path) override { Add(path); }
  void ReportDeleted(const Message&, const Message&, const Path& path) override { Add(path); }
  void ReportModified(const Message&, const Message&, const Path& path) override {
    // Of a section its options are reported as well.
    if (!IsSection(*path.back().field)) Add(path);
  }

 private:
  void Add(const Path& path) {
    std::string text;
    for (const auto& part : path) {
      absl::StrAppend(&text, text.empty() ? "" : ".", part.field->name());
      if (part.field->is_repeated()) absl::StrAppend(&text, "[", part.index, "]");
      if (!IsSection(*part.field)) break;  // what a duration is made of is no option
    }
    paths_.insert(std::move(text));
  }

  std::set<std::string> paths_;
};

}  // namespace

ConfigReloader::ConfigReloader(LoadedConfig in_force, std::string seen, Server& server)
    : started_with_(in_force.config),
      in_force_(std::move(in_force)),
      server_(server),
      seen_(std::move(seen)) {}

std::string ConfigReloader::Fingerprint(const LoadedConfig& loaded, const std::string& text) {
  std::string all = crypto::Sha256(text);
  for (const config::v1::Issuer& issuer : loaded.config.issuers()) {
    all += crypto::Sha256(ReadFile(issuer.jwks_file()).value_or(""));
  }
  return all;
}

bool ConfigReloader::Poll() {
  const std::string text = ReadFile(in_force_.file).value_or("");
  absl::StatusOr<LoadedConfig> next = ReadConfig(in_force_.file, text);
  std::string fingerprint = Fingerprint(next.ok() ? *next : in_force_, text);
  if (fingerprint == std::exchange(seen_, fingerprint)) return false;
  absl::Status status = next.status();
  // A file that is gone for a moment would read as an empty one: all defaults.
  if (text.empty()) status = StateInvalid("the configuration file cannot be read or is empty");
  if (status.ok()) status = Apply(*next);
  server_.config_pending().refused = !status.ok();
  if (!status.ok()) {
    Log(LogLevel::kError, "config_not_reloaded", {{"problem", std::string(status.message())}});
    return false;
  }
  in_force_ = *std::move(next);
  return true;
}

absl::Status ConfigReloader::Apply(const LoadedConfig& next) {
  CMK_RETURN_IF_ERROR(ToStatus(next, CheckRules(next.config)));
  CMK_ASSIGN_OR_RETURN(auto issuers, ReadIssuers(next));
  CMK_RETURN_IF_ERROR(server_.SetIssuers(std::move(issuers)));
  server_.SetQuotas(ToQuotaOptions(next.config.quotas()));
  ApplyLogLevel(next.config.log());
  ChangedOptions changed;
  google::protobuf::util::MessageDifferencer compare;
  compare.ReportDifferencesTo(&changed);
  const bool pending = !compare.Compare(NeedingRestart(started_with_), NeedingRestart(next.config));
  server_.config_pending().needs_restart = pending;
  if (pending) {
    Log(LogLevel::kWarning, "config_needs_restart",
        {{"changes", absl::StrJoin(changed.paths(), ", ")}});
  }
  Log(LogLevel::kInfo, "config_reloaded");
  return absl::OkStatus();
}

}  // namespace cmkstore::service
