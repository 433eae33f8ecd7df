#include "service/admin_server.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/errors.h"
#include "service/admin_http_server.h"
#include "service/status_page.h"

namespace cmkstore::service {
namespace {

constexpr char kText[] = "text/plain; charset=utf-8";

void Answer(const HealthAnswer& answer, httplib::Response& response) {
  response.status = answer.ok ? 200 : 503;
  response.set_content(absl::StrCat(absl::StrJoin(answer.lines, "\n"), "\n"), kText);
}

bool WantsJson(const httplib::Request& request) {
  if (request.has_param("format")) return request.get_param_value("format") == "json";
  const std::string accept = request.get_header_value("Accept");
  return absl::StrContains(accept, "application/json") && !absl::StrContains(accept, "text/html");
}

}  // namespace

AdminServer::AdminServer(const Health& health)
    : health_(health), server_(std::make_unique<AdminHttpServer>()) {
  server_->set_payload_max_length(0);
  server_->set_default_headers(
      {{"Cache-Control", "no-store"},
       {"Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'"},
       {"X-Content-Type-Options", "nosniff"}});
  Route();
}

void AdminServer::Route() {
  using httplib::Request, httplib::Response;
  server_->Get("/livez", [this](const Request&, Response& out) { Answer(health_.Live(), out); });
  server_->Get("/readyz", [this](const Request&, Response& out) { Answer(health_.Ready(), out); });
  server_->Get("/startupz",
               [this](const Request&, Response& out) { Answer(health_.Startup(), out); });
  server_->Get("/metrics", [this](const Request&, Response& out) {
    absl::ReaderMutexLock lock(&mutex_);
    if (pages_.metrics == nullptr) return Answer(health_.Startup(), out);
    out.set_content(pages_.metrics(), "text/plain; version=0.0.4; charset=utf-8");
  });
  server_->Get("/statusz", [this](const Request& request, Response& out) {
    absl::ReaderMutexLock lock(&mutex_);
    if (pages_.status_json == nullptr) return Answer(health_.Startup(), out);
    const std::string json = pages_.status_json();
    if (WantsJson(request)) {
      out.set_content(json, "application/json");
    } else {
      out.set_content(StatusPage(json), "text/html; charset=utf-8");
    }
  });
}

absl::StatusOr<std::unique_ptr<AdminServer>> AdminServer::Start(const std::string& address,
                                                                const Health& health) {
  const size_t colon = address.rfind(':');
  std::string host = address.substr(0, colon);
  if (absl::StartsWith(host, "[")) host = host.substr(1, host.size() - 2);
  int port = -1;
  if (colon == std::string::npos || !absl::SimpleAtoi(address.substr(colon + 1), &port)) {
    return StateInvalid("the admin address must be HOST:PORT");
  }
  std::unique_ptr<AdminServer> admin(new AdminServer(health));
  if (port == 0) {
    port = admin->server_->bind_to_any_port(host.c_str());
  } else if (!admin->server_->bind_to_port(host.c_str(), port)) {
    port = -1;
  }
  if (port < 0) {
    return StateInvalid(absl::StrCat("cannot listen on the admin address ", address,
                                     ": is the port taken, or the address not of this machine?"));
  }
  admin->port_ = port;
  admin->thread_ = std::thread([admin = admin.get()] {
    admin->server_->listen_after_bind();
    admin->ended_ = true;
  });
  return admin;
}

AdminServer::~AdminServer() {
  if (!thread_.joinable()) return;
  // stop() does nothing before the thread has come to accept.
  while (!server_->is_running() && !ended_) std::this_thread::yield();
  server_->stop();
  thread_.join();
}

void AdminServer::Publish(AdminPages pages) {
  absl::MutexLock lock(&mutex_);
  pages_ = std::move(pages);
}

void AdminServer::Withdraw() { Publish({}); }

}  // namespace cmkstore::service
