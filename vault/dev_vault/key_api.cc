#include "vault/dev_vault/key_api.h"

#include <functional>
#include <regex>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace cmkstore::dev_vault {
namespace {

constexpr size_t kLongestPage = 25;

// What a handler gets of a call that was let in.
struct KeyCall {
  const HttpCall& http;
  LocalVault& vault;
  VaultSettings settings;
  VaultKeys::Address key;

  VaultKeys& keys() const { return vault.keys(); }
};
using KeyHandler = std::function<Answer(const KeyCall&)>;

Answer Challenge(const TokenIssuer& issuer, const std::string& directory,
                 const std::string& resource, const std::string& why) {
  Answer answer = ErrorAnswer(401, "Unauthorized", why);
  answer.headers.emplace_back("WWW-Authenticate",
                              absl::StrCat("Bearer authorization=\"", issuer.authority(), "/",
                                           directory, "\", resource=\"", resource, "\""));
  return answer;
}

bool IsApiVersion(const std::string& version) {
  static const std::regex known(R"(7\.\d(-preview(\.\d)?)?|20\d\d-\d\d-\d\d(-preview(\.\d)?)?)");
  return std::regex_match(version, known);
}

VaultKeys::Page PageOf(const KeyCall& call) {
  VaultKeys::Page page;
  int wanted = 0;
  int64_t skip = 0;
  if (absl::SimpleAtoi(call.http.Param("maxresults"), &wanted) && wanted > 0) {
    page.size = std::min(kLongestPage, static_cast<size_t>(wanted));
  }
  if (absl::SimpleAtoi(call.http.Param("$skiptoken"), &skip) && skip > 0) {
    page.skip = static_cast<size_t>(skip);
  }
  page.next_link =
      absl::StrCat(call.key.url, call.http.path, "?api-version=", call.http.Param("api-version"),
                   "&maxresults=", page.size, "&$skiptoken=");
  return page;
}

// The gate before every handler, in the order that Azure checks.
class Gate {
 public:
  Gate(LocalVaults& vaults, const TokenIssuer& issuer, std::string first_client)
      : vaults_(vaults), issuer_(issuer), first_client_(std::move(first_client)) {}

  HttpHandler operator()(std::string permission, KeyHandler handler) const {
    return [gate = *this, permission = std::move(permission),
            handler = std::move(handler)](const HttpCall& call) {
      std::string caller;
      Answer answer = gate.Admit(permission, handler, call, caller);
      answer.caller = caller;
      answer.headers.emplace_back("x-ms-keyvault-region", "local");
      answer.headers.emplace_back("x-ms-keyvault-service-version", "cmkdevvault");
      answer.headers.emplace_back("Cache-Control", "no-cache");
      return answer;
    };
  }

 private:
  Answer Admit(const std::string& permission, const KeyHandler& handler, const HttpCall& call,
               std::string& client) const {
    const auto vault = vaults_.Find(call.host);
    if (!vault.ok()) return BadParameter(vault.status().message());
    const VaultSettings settings = (*vault)->settings();
    const std::string resource = ResourceOf(**vault, settings);
    const std::string directory =
        settings.directory.empty() ? issuer_.tenant_id() : settings.directory;
    const std::string header = call.Header("authorization");
    absl::string_view token = header;
    if (!absl::ConsumePrefix(&token, "Bearer ")) {
      return Challenge(issuer_, directory, resource,
                       "AKV10000: Request is missing a Bearer or PoP token.");
    }
    absl::StatusOr<Caller> caller = issuer_.Verify(std::string(token), resource, directory);
    if (!caller.ok()) {
      return Challenge(issuer_, directory, resource,
                       absl::StrCat("Error validating token: ", caller.status().message()));
    }
    caller->is_first = caller->client_id == first_client_;
    client = caller->client_id;
    const std::string version = call.Param("api-version");
    if (version.empty()) return BadParameter("api-version must be specified");
    if (!IsApiVersion(version)) {
      return BadParameter(absl::StrCat("The specified version (", version, ") is not recognized."));
    }
    Answer allowed = Authorize(settings, (*vault)->name(), *caller, call.peer, permission);
    if (allowed.status != 200) return allowed;
    if (!(*vault)->TakeFromLimit()) {
      return ErrorAnswer(429, "Throttled",
                         "Request was not processed because too many requests were received. "
                         "Reason: VaultRequestTypeLimitReached");
    }
    return handler({call,
                    **vault,
                    settings,
                    {absl::StrCat("https://", call.host), (*vault)->keys().Spelled(call.Match(1)),
                     absl::AsciiStrToLower(call.Match(2))}});
  }

  LocalVaults& vaults_;
  const TokenIssuer& issuer_;
  std::string first_client_;
};

}  // namespace

void AddKeyRoutes(HttpServer& server, LocalVaults& vaults, const TokenIssuer& issuer,
                  const std::string& first_client) {
  const Gate gate(vaults, issuer, first_client);
  const std::string name = "/keys/([0-9A-Za-z-]{1,127})";
  const std::string any_version = name + "(?:/([0-9A-Za-z]{0,64}))?";
  const std::string deleted = "/deletedkeys/([0-9A-Za-z-]{1,127})";

  const auto add = [&](const char* method, const std::string& pattern, const char* operation,
                       const char* permission, KeyHandler handler) {
    server.Route(method, pattern, operation, gate(permission, std::move(handler)));
  };
  add("POST", name + "/create", "create", "create", [](const KeyCall& call) {
    return call.keys().Create(call.key, call.http.body, call.settings);
  });
  add("POST", name + "/rotate", "rotate", "rotate",
      [](const KeyCall& call) { return call.keys().Rotate(call.key); });
  add("PUT", name, "import", "import", [](const KeyCall& call) {
    return call.keys().Import(call.key, call.http.body, call.settings);
  });
  add("DELETE", name, "delete", "delete",
      [](const KeyCall& call) { return call.keys().Delete(call.key); });
  add("GET", name + "/versions", "list", "list",
      [](const KeyCall& call) { return call.keys().ListVersions(call.key, PageOf(call)); });
  add("GET", "/keys/?", "list", "list",
      [](const KeyCall& call) { return call.keys().ListKeys(call.key.url, PageOf(call)); });
  add("GET", any_version + "/?", "get", "get",
      [](const KeyCall& call) { return call.keys().Get(call.key, call.settings); });
  add("PATCH", any_version + "/?", "update", "update", [](const KeyCall& call) {
    return call.keys().Update(call.key, call.http.body, call.settings);
  });
  for (const KeyOperation& one : KeyOperations()) {
    const std::string path(one.path), permission(one.name);
    add("POST", any_version + "/" + path, path.c_str(), permission.c_str(),
        [&one](const KeyCall& call) {
          return call.keys().Operate(one, call.key, call.http.body, call.settings);
        });
  }
  add("GET", "/deletedkeys/?", "list-deleted", "list",
      [](const KeyCall& call) { return call.keys().ListDeleted(call.key.url, PageOf(call)); });
  add("GET", deleted, "get-deleted", "get",
      [](const KeyCall& call) { return call.keys().GetDeleted(call.key); });
  add("POST", deleted + "/recover", "recover", "recover",
      [](const KeyCall& call) { return call.keys().Recover(call.key); });
  add("DELETE", deleted, "purge", "purge",
      [](const KeyCall& call) { return call.keys().Purge(call.key); });
}

}  // namespace cmkstore::dev_vault
