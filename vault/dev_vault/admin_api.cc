#include "vault/dev_vault/admin_api.h"

#include <functional>
#include <nlohmann/json.hpp>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace cmkstore::dev_vault {
namespace {

using nlohmann::json;
using AdminHandler = std::function<Answer(const HttpCall&, const json&)>;

constexpr int64_t kLongestTokenSeconds = int64_t{24} * 60 * 60;

Answer Shown(const json& body) {
  Answer answer;
  answer.body = body.dump(1) + "\n";
  return answer;
}

// The answer to a change: what now is, or what is wrong with the change.
Answer Changed(const std::string& wrong, const std::function<json()>& now) {
  return wrong.empty() ? Shown(now()) : BadParameter(wrong);
}

class Routes {
 public:
  Routes(HttpServer& server, std::string admin_token)
      : server_(server), admin_token_(std::move(admin_token)) {}

  void Add(const char* method, const std::string& path, AdminHandler handler) {
    server_.Route(method, "/_dev/" + path, "",
                  [token = admin_token_, handler = std::move(handler)](const HttpCall& call) {
                    if (call.Header("authorization") != "Bearer " + token) {
                      return ErrorAnswer(401, "Unauthorized",
                                         "The admin token is needed: the content of admin.token.");
                    }
                    json body = json::object();
                    if (!call.body.empty()) body = json::parse(call.body, nullptr, false);
                    if (!body.is_object()) return BadParameter("The body must be a JSON object.");
                    return handler(call, body);
                  });
  }

 private:
  HttpServer& server_;
  const std::string admin_token_;
};

json ClockOf(const SettableClock& clock) {
  return {{"unix", clock.UnixNow()},
          {"offset_seconds", absl::ToInt64Seconds(clock.offset())},
          {"rfc3339", absl::FormatTime(absl::RFC3339_sec, clock.WallNow(), absl::UTCTimeZone())}};
}

Answer SetClock(SettableClock& clock, const json& body) {
  if (body.size() != 1) {
    return BadParameter("Give one of unix, offset_seconds, advance_seconds.");
  }
  if (body.contains("unix")) {
    clock.SetNow(absl::FromUnixSeconds(body["unix"].get<int64_t>()));
  } else if (body.contains("offset_seconds")) {
    clock.SetOffset(absl::Seconds(body["offset_seconds"].get<int64_t>()));
  } else if (body.contains("advance_seconds")) {
    clock.SetOffset(clock.offset() + absl::Seconds(body["advance_seconds"].get<int64_t>()));
  } else {
    return BadParameter("Give one of unix, offset_seconds, advance_seconds.");
  }
  return Shown(ClockOf(clock));
}

Answer ChangeVault(LocalVaults& vaults, const std::string& name, const json& change) {
  const auto vault = vaults.Find(name);
  if (!vault.ok()) return BadParameter(vault.status().message());
  const std::string wrong = change.empty() ? "" : (*vault)->Change(change);
  return Changed(wrong, [&] { return ToJson((*vault)->settings()); });
}

Answer MintFederated(const AdminTargets& to, const json& body) {
  const std::string token = to.issuer.MintFederated(
      body.value("subject", "system:serviceaccount:default:cmkstore"),
      body.value("audience", "api://AzureADTokenExchange"),
      absl::ToUnixSeconds(to.wall.WallNow()) + body.value("starts_in_seconds", int64_t{0}),
      body.value("lifetime_seconds", int64_t{3600}));
  return Shown({{"token", token}, {"issuer", to.issuer.cluster_issuer()}});
}

Answer ChangeTokens(TokenIssuer& issuer, const json& body) {
  if (body.contains("lifetime_seconds")) {
    const int64_t seconds = body["lifetime_seconds"].get<int64_t>();
    if (seconds < 2 || seconds > kLongestTokenSeconds) {
      return BadParameter("lifetime_seconds must be 2 to 86400");
    }
    issuer.SetLifetime(seconds);
  }
  if (body.value("revoke_all", false)) issuer.RevokeAll();
  return Shown(json::object());
}

}  // namespace

void AddAdminRoutes(HttpServer& server, const std::string& admin_token, AdminTargets to) {
  Routes routes(server, admin_token);
  const std::string name = "([0-9A-Za-z._-]+)";

  routes.Add("GET", "faults",
             [to](const HttpCall&, const json&) { return Shown(to.faults.Remaining()); });
  routes.Add("POST", "faults", [to](const HttpCall&, const json& body) {
    return Changed(to.faults.Replace(body), [&] { return to.faults.Remaining(); });
  });

  routes.Add("GET", "clock",
             [to](const HttpCall&, const json&) { return Shown(ClockOf(to.clock)); });
  routes.Add("PUT", "clock",
             [to](const HttpCall&, const json& body) { return SetClock(to.clock, body); });

  routes.Add("GET", "vaults/" + name, [to](const HttpCall& call, const json&) {
    return ChangeVault(to.vaults, call.Match(1), json::object());
  });
  routes.Add("PUT", "vaults/" + name, [to](const HttpCall& call, const json& body) {
    return ChangeVault(to.vaults, call.Match(1), body);
  });
  // The short form for the most frequent experiment, on the vault that the call names as its host.
  routes.Add("POST", "permissions", [to](const HttpCall& call, const json& body) {
    return ChangeVault(to.vaults, call.host, {{"denied", body.value("denied", json::array())}});
  });

  routes.Add("GET", "identities", [to](const HttpCall&, const json&) {
    json all = json::array();
    for (const Identity& one : to.identities.List()) all.push_back(ToJson(one, false));
    return Shown({{"identities", all}});
  });
  routes.Add("PUT", "identities/" + name, [to](const HttpCall& call, const json& body) {
    const std::string wrong = to.identities.Change(call.Match(1), body);
    return Changed(wrong, [&] { return ToJson(*to.identities.Find(call.Match(1)), false); });
  });
  routes.Add("DELETE", "identities/" + name, [to](const HttpCall& call, const json&) {
    return to.identities.Remove(call.Match(1))
               ? Shown(json::object())
               : ErrorAnswer(404, "NotFound", "There is no such identity.");
  });

  routes.Add("POST", "federated-token",
             [to](const HttpCall&, const json& body) { return MintFederated(to, body); });
  routes.Add("PUT", "tokens",
             [to](const HttpCall&, const json& body) { return ChangeTokens(to.issuer, body); });

  routes.Add("GET", "stats", [to](const HttpCall&, const json&) { return Shown(to.log.Counts()); });
  routes.Add("DELETE", "stats", [to](const HttpCall&, const json&) {
    to.log.ResetCounts();
    return Shown(json::object());
  });
  routes.Add("GET", "calls", [to](const HttpCall& call, const json&) {
    int64_t since = 0;
    if (!absl::SimpleAtoi(call.Param("since"), &since)) since = 0;
    return Shown(to.log.Since(since));
  });
}

}  // namespace cmkstore::dev_vault
