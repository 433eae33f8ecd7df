#include "vault/dev_vault/dev_vault.h"

#define CPPHTTPLIB_OPENSSL_SUPPORT
#include <httplib.h>

#include <atomic>
#include <deque>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "base/errors.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "crypto/digest.h"
#include "crypto/jwt.h"
#include "crypto/random.h"
#include "crypto/rsa_key.h"
#include "crypto/rsa_verify.h"
#include "crypto/x509_mint.h"
#include "vault/dev_vault/dev_keys.h"

namespace cmkstore::dev_vault {
namespace {

using nlohmann::json;

constexpr char kKeyId[] = "dev-vault";
constexpr char kResource[] = "https://vault.azure.net";

// A scripted answer in place of the real one.
struct Fault {
  std::string operation;  // get, create, update, rotate, delete, recover, wrapkey, unwrapkey,
                          // token; empty: any
  int count = 1;
  int status = 0;  // 0: only the delay
  std::string body;
  std::string content_type = "application/json";
  std::string retry_after;
  int delay_ms = 0;
};

std::string RandomHex() { return crypto::SystemRandom().NewUid<HubUid>().ToHex(); }

// Reads a secret that an earlier start left, or makes one.
std::string KeptSecret(const std::string& path) {
  if (std::optional<std::string> kept = ReadFile(path); kept.has_value()) return *kept;
  const std::string fresh = RandomHex();
  WriteFileDurably(path, fresh);
  return fresh;
}

absl::StatusOr<crypto::RsaPrivateKey> KeptKey(const std::string& path) {
  if (std::optional<std::string> kept = ReadFile(path); kept.has_value()) {
    return crypto::RsaPrivateKey::FromPem(*kept);
  }
  CMK_ASSIGN_OR_RETURN(crypto::RsaPrivateKey key, crypto::RsaPrivateKey::Generate(2048));
  WriteFileDurably(path, key.ToPem());
  return key;
}

void Send(const Answer& answer, httplib::Response& response) {
  response.status = answer.status;
  if (!answer.body.empty()) response.set_content(answer.body, "application/json; charset=utf-8");
}

}  // namespace

class DevVault::Server {
 public:
  Server(const DevVaultOptions& options, Clock& clock, crypto::RsaPrivateKey signing_key)
      : options_(options),
        clock_(clock),
        signing_key_(std::move(signing_key)),
        keys_(options.state_dir + "/keys.json", options.recovery_level, clock) {}

  ~Server() {
    if (http_ != nullptr) http_->stop();
    if (thread_.joinable()) thread_.join();
  }

  absl::Status Start() {
    if (!keys_.Load()) return StateInvalid("the vault's keys.json cannot be read");
    const std::string& dir = options_.state_dir;
    CMK_ASSIGN_OR_RETURN(const crypto::RsaPrivateKey tls_key, KeptKey(dir + "/tls.key"));
    CMK_ASSIGN_OR_RETURN(const crypto::RsaPrivateKey ca_key, KeptKey(dir + "/ca.key"));
    const std::string ca = crypto::MintCa(ca_key, "cmkdevvault CA");
    CMK_ASSIGN_OR_RETURN(
        const std::string certificate,
        crypto::MintCertificate(ca_key, ca, tls_key, "localhost",
                                {"DNS:localhost", "DNS:*.localhost", "IP:127.0.0.1", "IP:::1"}));
    WriteFileDurably(dir + "/ca.pem", ca);
    WriteFileDurably(dir + "/tls.pem", certificate);
    secret_ = KeptSecret(dir + "/client.secret");
    admin_token_ = KeptSecret(dir + "/admin.token");

    http_ = std::make_unique<httplib::SSLServer>((dir + "/tls.pem").c_str(),
                                                 (dir + "/tls.key").c_str());
    if (!http_->is_valid()) return StateInvalid("the vault's certificate cannot be used");
    AddKeyRoutes();
    AddTokenRoute();
    AddAdminRoutes();
    http_->set_keep_alive_max_count(1'000'000);
    http_->set_tcp_nodelay(true);
    int port = options_.port;
    if (port == 0) {
      port = http_->bind_to_any_port(options_.address.c_str());
    } else if (!http_->bind_to_port(options_.address.c_str(), port)) {
      port = -1;
    }
    if (port < 0) {
      return StateInvalid(absl::StrCat("port ", options_.port, " on ", options_.address,
                                       " cannot be used: another program may have it"));
    }
    thread_ = std::thread([this] { http_->listen_after_bind(); });
    while (!http_->is_running()) absl::SleepFor(absl::Milliseconds(1));

    endpoints_ = {absl::StrCat("https://localhost:", port),
                  absl::StrCat("https://localhost:", port),
                  options_.tenant_id,
                  options_.client_id,
                  dir + "/ca.pem",
                  dir + "/client.secret",
                  dir + "/admin.token"};
    WriteReadyFile();
    return absl::OkStatus();
  }

  const DevVaultEndpoints& endpoints() const { return endpoints_; }

 private:
  using Handler = std::function<Answer(const httplib::Request&, const std::string& url)>;

  void WriteReadyFile() {
    const json ready = {{"url", endpoints_.url},
                        {"authority", endpoints_.authority},
                        {"tenant_id", endpoints_.tenant_id},
                        {"client_id", endpoints_.client_id},
                        {"ca_file", endpoints_.ca_file},
                        {"secret_file", endpoints_.secret_file},
                        {"admin_token_file", endpoints_.admin_token_file}};
    WriteFileDurably(options_.state_dir + "/ready.json", ready.dump(1));
  }

  // A call on keys: counts it, plays a scripted fault, checks token and permission, then answers.
  httplib::Server::Handler KeyCall(std::string operation, std::string permission, Handler handler) {
    return [=, this](const httplib::Request& request, httplib::Response& response) {
      if (PlayFault(operation, response)) return;
      if (request.get_param_value("api-version").empty()) {
        return Send(ErrorAnswer(400, "BadParameter", "api-version must be specified"), response);
      }
      if (!TokenIsGood(request)) {
        response.set_header("WWW-Authenticate",
                            absl::StrCat("Bearer authorization=\"", endpoints_.authority, "/",
                                         options_.tenant_id, "\", resource=\"", kResource, "\""));
        return Send(
            ErrorAnswer(401, "Unauthorized", "AKV10000: Request is missing a Bearer token."),
            response);
      }
      if (!IsPermitted(permission)) {
        return Send(
            ErrorAnswer(403, "Forbidden", "the caller lacks the permission", "ForbiddenByPolicy"),
            response);
      }
      Send(handler(request, absl::StrCat("https://", request.get_header_value("Host"))), response);
    };
  }

  void AddKeyRoutes() {
    const std::string name = "/keys/([0-9A-Za-z-]+)";
    const std::string version = "/([0-9a-f]{32})";
    const auto match = [](const httplib::Request& request, size_t i) {
      return i < request.matches.size() ? request.matches[i].str() : std::string();
    };
    http_->Get(name + "/versions", KeyCall("list", "list", [=, this](auto& request, auto& url) {
                 return keys_.ListVersions(url, match(request, 1));
               }));
    http_->Get(name + "(?:" + version + ")?/?",
               KeyCall("get", "get", [=, this](auto& request, auto& url) {
                 return keys_.Get(url, match(request, 1), match(request, 2));
               }));
    http_->Post(name + "/create", KeyCall("create", "create", [=, this](auto& request, auto& url) {
                  return keys_.Create(url, match(request, 1), request.body);
                }));
    http_->Post(name + "/rotate", KeyCall("rotate", "rotate", [=, this](auto& request, auto& url) {
                  return keys_.Rotate(url, match(request, 1));
                }));
    http_->Patch(name + "(?:" + version + ")?/?",
                 KeyCall("update", "update", [=, this](auto& request, auto& url) {
                   return keys_.Update(url, match(request, 1), match(request, 2), request.body);
                 }));
    http_->Delete(name, KeyCall("delete", "delete", [=, this](auto& request, auto& url) {
                    return keys_.Delete(url, match(request, 1));
                  }));
    http_->Post(name + "(?:" + version + ")?/wrapkey",
                KeyCall("wrapkey", "wrapKey", [=, this](auto& request, auto& url) {
                  return keys_.Wrap(url, match(request, 1), match(request, 2), request.body);
                }));
    http_->Post(name + "(?:" + version + ")?/unwrapkey",
                KeyCall("unwrapkey", "unwrapKey", [=, this](auto& request, auto& url) {
                  return keys_.Unwrap(url, match(request, 1), match(request, 2), request.body);
                }));
    const std::string deleted = "/deletedkeys/([0-9A-Za-z-]+)";
    http_->Post(deleted + "/recover",
                KeyCall("recover", "recover", [=, this](auto& request, auto& url) {
                  return keys_.Recover(url, match(request, 1));
                }));
    http_->Delete(deleted, KeyCall("purge", "purge", [=, this](auto& request, auto&) {
                    return keys_.Purge(match(request, 1));
                  }));
  }

  void AddTokenRoute() {
    http_->Post(R"(/([0-9A-Za-z-]+)/oauth2/v2\.0/token)", [this](const httplib::Request& request,
                                                                 httplib::Response& response) {
      if (PlayFault("token", response)) return;
      const std::string scope = request.get_param_value("scope");
      if (request.matches[1] != options_.tenant_id ||
          request.get_param_value("client_id") != options_.client_id ||
          request.get_param_value("client_secret") != secret_ ||
          request.get_param_value("grant_type") != "client_credentials" || scope.empty()) {
        response.status = 401;
        response.set_content(json{{"error", "invalid_client"}}.dump(), "application/json");
        return;
      }
      const int64_t now = absl::ToUnixSeconds(clock_.WallNow());
      const json claims = {
          {"iss", absl::StrCat(endpoints_.authority, "/", options_.tenant_id, "/v2.0")},
          {"aud", std::string(absl::StripSuffix(scope, "/.default"))},
          {"tid", options_.tenant_id},
          {"oid", options_.client_id},
          {"iat", now},
          {"nbf", now},
          {"exp", now + 3600}};
      const json answer = {{"token_type", "Bearer"},
                           {"expires_in", 3599},
                           {"access_token", crypto::SignJwt(signing_key_, kKeyId, claims.dump())}};
      response.set_content(answer.dump(), "application/json; charset=utf-8");
    });
  }

  void AddAdminRoutes() {
    const auto admin = [this](std::function<void(const json&, httplib::Response&)> handler) {
      return [=, this](const httplib::Request& request, httplib::Response& response) {
        if (request.get_header_value("Authorization") != "Bearer " + admin_token_) {
          return Send(ErrorAnswer(401, "Unauthorized", "the admin token is needed"), response);
        }
        const json body =
            request.body.empty() ? json::object() : json::parse(request.body, nullptr, false);
        if (!body.is_object())
          return Send(ErrorAnswer(400, "BadParameter", "no JSON object"), response);
        handler(body, response);
      };
    };
    http_->Post("/_dev/faults", admin([this](const json& body, httplib::Response&) {
                  absl::MutexLock lock(&mutex_);
                  faults_.clear();
                  for (const json& one : body.value("faults", json::array())) {
                    faults_.push_back({one.value("operation", ""), one.value("count", 1),
                                       one.value("status", 0), one.value("body", ""),
                                       one.value("content_type", "application/json"),
                                       one.value("retry_after", ""), one.value("delay_ms", 0)});
                  }
                }));
    http_->Post("/_dev/permissions", admin([this](const json& body, httplib::Response&) {
                  absl::MutexLock lock(&mutex_);
                  denied_.clear();
                  for (const json& one : body.value("denied", json::array())) {
                    denied_.insert(one.get<std::string>());
                  }
                }));
    http_->Get("/_dev/stats", admin([this](const json&, httplib::Response& response) {
                 absl::MutexLock lock(&mutex_);
                 response.set_content(json(calls_).dump(), "application/json");
               }));
  }

  bool PlayFault(const std::string& operation, httplib::Response& response) {
    Fault fault;
    {
      absl::MutexLock lock(&mutex_);
      ++calls_[operation];
      if (faults_.empty()) return false;
      Fault& next = faults_.front();
      if (!next.operation.empty() && next.operation != operation) return false;
      fault = next;
      if (--next.count <= 0) faults_.pop_front();
    }
    absl::SleepFor(absl::Milliseconds(fault.delay_ms));
    if (fault.status == 0) return false;
    response.status = fault.status;
    if (!fault.retry_after.empty()) response.set_header("Retry-After", fault.retry_after);
    response.set_content(fault.body, fault.content_type.c_str());
    return true;
  }

  bool TokenIsGood(const httplib::Request& request) const {
    const std::string header = request.get_header_value("Authorization");
    absl::string_view token = header;
    if (!absl::ConsumePrefix(&token, "Bearer ")) return false;
    const auto jwt = crypto::ParseJwt(token);
    if (!jwt.ok()) return false;
    const auto key =
        crypto::RsaPublicKey::Create(signing_key_.ModulusBytes(), signing_key_.ExponentBytes());
    if (!key.ok() || !key->VerifyRs256(jwt->signing_input, jwt->signature).ok()) return false;
    const json claims = json::parse(jwt->claims, nullptr, false);
    return claims.is_object() && claims.value("aud", "") == kResource &&
           claims.value("exp", int64_t{0}) > absl::ToUnixSeconds(clock_.WallNow());
  }

  bool IsPermitted(const std::string& permission) {
    absl::MutexLock lock(&mutex_);
    return !denied_.contains(permission);
  }

  const DevVaultOptions options_;
  Clock& clock_;
  const crypto::RsaPrivateKey signing_key_;
  DevKeys keys_;
  std::string secret_;
  std::string admin_token_;
  DevVaultEndpoints endpoints_;
  std::unique_ptr<httplib::SSLServer> http_;
  std::thread thread_;
  absl::Mutex mutex_;
  std::deque<Fault> faults_ ABSL_GUARDED_BY(mutex_);
  std::set<std::string> denied_ ABSL_GUARDED_BY(mutex_);
  std::map<std::string, uint64_t> calls_ ABSL_GUARDED_BY(mutex_);
};

DevVault::DevVault(std::unique_ptr<Server> server) : server_(std::move(server)) {}
DevVault::~DevVault() = default;
const DevVaultEndpoints& DevVault::endpoints() const { return server_->endpoints(); }

absl::StatusOr<std::unique_ptr<DevVault>> DevVault::Start(const DevVaultOptions& options,
                                                          Clock& clock) {
  const bool loopback = absl::StartsWith(options.address, "127.") ||
                        options.address == "localhost" || options.address == "::1";
  if (!loopback && !options.allow_non_loopback) {
    return StateInvalid(
        "this vault keeps its keys in a plain file, so it listens on loopback only; "
        "--allow-non-loopback overrides that");
  }
  std::error_code ignored;
  std::filesystem::create_directories(options.state_dir, ignored);
  CMK_ASSIGN_OR_RETURN(crypto::RsaPrivateKey signing, KeptKey(options.state_dir + "/signing.key"));
  auto server = std::make_unique<Server>(options, clock, std::move(signing));
  CMK_RETURN_IF_ERROR(server->Start());
  return std::unique_ptr<DevVault>(new DevVault(std::move(server)));
}

}  // namespace cmkstore::dev_vault
