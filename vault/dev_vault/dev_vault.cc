#include "vault/dev_vault/dev_vault.h"

#include <filesystem>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/errors.h"
#include "base/file.h"
#include "base/file_lock.h"
#include "base/status_macros.h"
#include "vault/dev_vault/admin_api.h"
#include "vault/dev_vault/key_api.h"
#include "vault/dev_vault/state_files.h"
#include "vault/dev_vault/token_api.h"

namespace cmkstore::dev_vault {
namespace {

using nlohmann::json;

constexpr char kSubject[] = "system:serviceaccount:default:cmkstore";
constexpr char kAudience[] = "api://AzureADTokenExchange";
constexpr int64_t kFederatedSeconds = int64_t{24} * 60 * 60;
// Enough for the clients of a load test, and for the admin API while scripted hangs hold many.
constexpr size_t kThreads = 256;

VaultSettings DefaultsOf(const DevVaultOptions& options) {
  VaultSettings settings;
  settings.recovery_level = options.recovery_level;
  if (options.managed_hsm) settings.kind = "managed_hsm";
  return settings;
}

HttpServerOptions TlsOf(const DevVaultOptions& options) {
  return {options.address,
          options.port,
          options.state_dir + "/tls.pem",
          options.state_dir + "/tls.key",
          options.tls_1_2_only,
          kThreads};
}

bool IsLoopback(const std::string& address) {
  return absl::StartsWith(address, "127.") || address == "localhost" || address == "::1";
}

json ToJson(const DevVaultEndpoints& at) {
  return {{"url", at.url},
          {"authority", at.authority},
          {"tenant_id", at.tenant_id},
          {"client_id", at.client_id},
          {"ca_file", at.ca_file},
          {"secret_file", at.secret_file},
          {"admin_token_file", at.admin_token_file},
          {"imds_url", at.imds_url},
          {"certificate_file", at.certificate_file},
          {"federated_token_file", at.federated_token_file}};
}

}  // namespace

// Owns everything, in the order of need; the servers come last, so that they stop first.
class DevVault::Process {
 public:
  Process(const DevVaultOptions& options, std::unique_ptr<FileLock> lock, Clock& clock)
      : lock_(std::move(lock)),
        options_(options),
        wall_(clock),
        clock_(clock),
        vaults_(options.state_dir + "/vaults", DefaultsOf(options), clock_),
        identities_(options.state_dir + "/identities.json") {}

  ~Process() {
    faults_.Stop();
    RemoveReadyFile();
  }

  absl::Status Start() {
    const std::string& dir = options_.state_dir;
    RemoveReadyFile();  // of a process that was killed: whoever waits for it must wait for this one
    CMK_RETURN_IF_ERROR(WriteServerCertificate(dir, options_.host, options_.certificate_names));
    CMK_RETURN_IF_ERROR(AddFirstIdentity());
    CMK_ASSIGN_OR_RETURN(const std::string admin_token, KeptSecret(dir + "/admin.token"));
    CMK_RETURN_IF_ERROR(vaults_.Find(options_.host).status());
    https_ = std::make_unique<HttpServer>(TlsOf(options_), faults_, log_);
    CMK_ASSIGN_OR_RETURN(const int port, https_->Bind());
    imds_ = std::make_unique<HttpServer>(
        HttpServerOptions{options_.address, options_.imds_port, "", ""}, faults_, log_);
    CMK_ASSIGN_OR_RETURN(const int imds_port, imds_->Bind());

    const std::string url = absl::StrCat("https://", options_.host, ":", port);
    CMK_ASSIGN_OR_RETURN(crypto::RsaPrivateKey signing_key, KeptKey(dir + "/signing.key"));

    issuer_ =
        std::make_unique<TokenIssuer>(url, options_.tenant_id, std::move(signing_key), clock_);
    AddKeyRoutes(*https_, vaults_, *issuer_, options_.client_id);
    AddTokenRoutes(*https_, identities_, *issuer_, wall_);
    AddAdminRoutes(*https_, admin_token,
                   {faults_, log_, clock_, wall_, vaults_, identities_, *issuer_});
    AddImdsRoutes(*imds_, identities_, *issuer_);
    https_->Start();
    imds_->Start();

    endpoints_ = {url,
                  url,
                  options_.tenant_id,
                  options_.client_id,
                  dir + "/ca.pem",
                  dir + "/client.secret",
                  dir + "/admin.token",
                  absl::StrCat("http://", ImdsHost(), ":", imds_port),
                  dir + "/client.pem",
                  dir + "/federated.token"};
    return WriteReadyFile();
  }

  const DevVaultEndpoints& endpoints() const { return endpoints_; }

 private:
  std::string ImdsHost() const {
    return options_.host == "localhost" ? "127.0.0.1" : options_.host;
  }

  // It can log in by every way that there is.
  absl::Status AddFirstIdentity() {
    const std::string& dir = options_.state_dir;
    if (!identities_.Load()) return StateInvalid("the vault's identities.json cannot be read");
    CMK_ASSIGN_OR_RETURN(const std::string secret, KeptSecret(dir + "/client.secret"));
    json first = json::object();
    if (!identities_.Find(options_.client_id).has_value()) {
      first = {{"secret", secret},
               {"managed", "system"},
               {"federated",
                json::array(
                    {{{"issuer", "/cluster"}, {"subject", kSubject}, {"audience", kAudience}}})}};
    }
    if (options_.client_certificate) {
      CMK_ASSIGN_OR_RETURN(first["certificate"], KeptClientCertificate(dir, options_.client_id));
    }
    const std::string wrong = first.empty() ? "" : identities_.Change(options_.client_id, first);
    return wrong.empty() ? absl::OkStatus() : StateInvalid(wrong);
  }

  void RemoveReadyFile() const {
    std::error_code ignored;
    std::filesystem::remove(options_.state_dir + "/ready.json", ignored);
  }

  absl::Status WriteReadyFile() {
    const std::string token = issuer_->MintFederated(
        kSubject, kAudience, absl::ToUnixSeconds(wall_.WallNow()), kFederatedSeconds);
    if (!WriteFileDurably(endpoints_.federated_token_file, token) ||
        !WriteFileDurably(options_.state_dir + "/ready.json", ToJson(endpoints_).dump(1))) {
      return StateInvalid("a file in the state folder cannot be written");
    }
    return absl::OkStatus();
  }

  const std::unique_ptr<FileLock> lock_;  // of the state folder, to the very end
  const DevVaultOptions options_;
  Clock& wall_;
  SettableClock clock_;
  FaultScript faults_;
  CallLog log_;
  LocalVaults vaults_;
  Identities identities_;
  DevVaultEndpoints endpoints_;
  std::unique_ptr<TokenIssuer> issuer_;
  std::unique_ptr<HttpServer> https_;
  std::unique_ptr<HttpServer> imds_;
};

DevVault::DevVault(std::unique_ptr<Process> process) : process_(std::move(process)) {}
DevVault::~DevVault() = default;
const DevVaultEndpoints& DevVault::endpoints() const { return process_->endpoints(); }

absl::StatusOr<std::unique_ptr<DevVault>> DevVault::Start(const DevVaultOptions& options,
                                                          Clock& clock) {
  if (!IsLoopback(options.address) && !options.allow_non_loopback) {
    return StateInvalid(
        "this vault keeps its keys in plain files, so it listens on loopback only; "
        "--allow-non-loopback overrides that");
  }
  namespace fs = std::filesystem;
  std::error_code failed;
  fs::create_directories(options.state_dir, failed);
  if (!failed) fs::permissions(options.state_dir, fs::perms::owner_all, failed);
  if (failed) return StateInvalid("the state folder cannot be made");
  auto lock = FileLock::TryTake(options.state_dir + "/lock");
  if (lock == nullptr) {
    return StateInvalid(absl::StrCat("another cmkdevvault serves from ", options.state_dir,
                                     " (or its file `lock` cannot be opened); end that one, or "
                                     "give this one a --state-dir of its own"));
  }
  auto process = std::make_unique<Process>(options, std::move(lock), clock);
  CMK_RETURN_IF_ERROR(process->Start());
  return std::unique_ptr<DevVault>(new DevVault(std::move(process)));
}

}  // namespace cmkstore::dev_vault
