#include "vault/dev_vault/http_server.h"

#define CPPHTTPLIB_OPENSSL_SUPPORT
#include <httplib.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <thread>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/errors.h"
#include "crypto/random.h"
#include "vault/dev_vault/local_vaults.h"
#include "vault/dev_vault/open_connections.h"

namespace cmkstore::dev_vault {
namespace {

//
constexpr int kBacklog = 1024;
constexpr size_t kMaxBody = 1u << 20;

HttpCall CallOf(const httplib::Request& request) {
  HttpCall call;
  call.method = request.method;
  call.path = request.path;
  call.host = request.get_header_value("Host");
  call.peer = request.remote_addr;
  call.body = request.body;
  for (const auto& match : request.matches) call.matches.push_back(match.str());
  call.params.insert(request.params.begin(), request.params.end());
  for (const auto& [name, value] : request.headers) {
    call.headers.emplace(absl::AsciiStrToLower(name), value);
  }
  return call;
}

void Write(const Answer& answer, bool chunked, httplib::Response& response) {
  response.status = answer.status;
  for (const auto& [name, value] : answer.headers) response.headers.emplace(name, value);
  if (chunked) {
    response.set_chunked_content_provider(answer.content_type,
                                          [body = answer.body](size_t, httplib::DataSink& sink) {
                                            const size_t half = body.size() / 2;
                                            sink.write(body.data(), half);
                                            sink.write(body.data() + half, body.size() - half);
                                            sink.done();
                                            return true;
                                          });
  } else if (!answer.body.empty()) {
    response.set_content(answer.body, answer.content_type);
  }
}

void WriteHalf(const Answer& answer, httplib::Response& response) {
  response.status = answer.status;
  response.set_content_provider(
      answer.body.size(), answer.content_type,
      [body = answer.body](size_t offset, size_t, httplib::DataSink& sink) {
        if (offset == 0) sink.write(body.data(), body.size() / 2);
        return offset == 0;
      });
}

Answer Handle(const HttpHandler& handler, const HttpCall& call) {
  try {
    return handler(call);
  } catch (const nlohmann::json::exception&) {
    return BadParameter("The request's JSON has not the shape that this call takes.");
  }
}

}  // namespace

class HttpServer::Impl {
 public:
  Impl(HttpServerOptions options, FaultScript& faults, CallLog& log)
      : options_(std::move(options)), faults_(faults), log_(log) {
    if (options_.certificate_file.empty()) {
      http_ = std::make_unique<httplib::Server>();
    } else {
      auto tls = std::make_unique<httplib::SSLServer>(options_.certificate_file.c_str(),
                                                      options_.key_file.c_str());
      if (tls->is_valid() && options_.tls_1_2_only) {
        SSL_CTX_set_max_proto_version(tls->ssl_context(), TLS1_2_VERSION);
      }
      http_ = std::move(tls);
    }
    http_->new_task_queue = [threads = options_.threads] {
      return new httplib::ThreadPool(threads);
    };
    http_->set_keep_alive_max_count(1'000'000);
    http_->set_tcp_nodelay(true);
    http_->set_payload_max_length(kMaxBody);
  }

  ~Impl() {
    http_->stop();
    if (port_ > 0) ShutDownConnections(port_);
    if (thread_.joinable()) thread_.join();
  }

  absl::StatusOr<int> Bind() {
    if (!http_->is_valid()) return StateInvalid("the vault's certificate cannot be used");
    socket_t listening = -1;
    http_->set_socket_options([&listening](socket_t socket) {
      const int yes = 1;
      setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
      listening = socket;
    });
    if (options_.port == 0) {
      port_ = http_->bind_to_any_port(options_.address);
    } else {
      port_ = http_->bind_to_port(options_.address, options_.port) ? options_.port : -1;
    }
    if (port_ < 0) {
      return StateInvalid(absl::StrCat("port ", options_.port, " on ", options_.address,
                                       " cannot be used: another program may have it"));
    }
    listen(listening, kBacklog);  // the library's own backlog is five
    return port_;
  }

  void Route(const std::string& method, const std::string& pattern, const std::string& operation,
             HttpHandler handler) {
    auto serve = [this, operation, handler = std::move(handler)](const httplib::Request& request,
                                                                 httplib::Response& response) {
      Serve(operation, handler, request, response);
    };
    if (method == "GET") {
      http_->Get(pattern, serve);
    } else if (method == "POST") {
      http_->Post(pattern, serve);
    } else if (method == "PUT") {
      http_->Put(pattern, serve);
    } else if (method == "PATCH") {
      http_->Patch(pattern, serve);
    } else {
      http_->Delete(pattern, serve);
    }
  }

  void Start() {
    const HttpHandler unknown = [](const HttpCall& call) {
      return ErrorAnswer(404, "NotFound",
                         absl::StrCat("No resource answers ", call.method, " here."));
    };
    for (const char* method : {"GET", "POST", "PUT", "PATCH", "DELETE"}) {
      Route(method, ".*", "unknown", unknown);
    }
    thread_ = std::thread([this] { http_->listen_after_bind(); });
    while (!http_->is_running()) absl::SleepFor(absl::Milliseconds(1));
  }

 private:
  void Serve(const std::string& operation, const HttpHandler& handler,
             const httplib::Request& request, httplib::Response& response) {
    const HttpCall call = CallOf(request);
    if (operation.empty()) return Write(Handle(handler, call), false, response);
    LoggedCall logged;
    logged.unix_ms = absl::ToUnixMillis(absl::Now());
    logged.operation = operation;
    logged.vault = LocalVaults::NameOf(call.host);
    logged.path = call.path;
    logged.client_request_id = call.Header("x-ms-client-request-id");
    log_.Arrive(operation);
    const std::optional<Fault> fault = faults_.Next(operation, logged.vault, call.path);
    logged.fault = fault.has_value();
    if (!fault.has_value()) {
      Finish(Handle(handler, call), call, logged, response, false);
    } else {
      Play(*fault, handler, call, request.remote_port, logged, response);
    }
    log_.Add(std::move(logged));
  }

  static void Finish(Answer answer, const HttpCall& call, LoggedCall& logged,
                     httplib::Response& response, bool chunked) {
    constexpr char kRequestId[] = "x-ms-request-id";
    const bool scripted = std::any_of(answer.headers.begin(), answer.headers.end(),
                                      [&](const auto& one) { return one.first == kRequestId; });
    if (!scripted) {
      answer.headers.emplace_back(kRequestId, crypto::SystemRandom().NewUid<HubUid>().ToHex());
    }
    if (const std::string id = call.Header("x-ms-client-request-id"); !id.empty()) {
      answer.headers.emplace_back("x-ms-client-request-id", id);
    }
    logged.status = answer.status;
    logged.caller = answer.caller;
    Write(answer, chunked, response);
  }

  void Play(const Fault& fault, const HttpHandler& handler, const HttpCall& call, int peer_port,
            LoggedCall& logged, httplib::Response& response) {
    if (fault.delay > absl::ZeroDuration()) faults_.Wait(fault.delay);
    switch (fault.kind) {
      case Fault::Kind::kAnswer: return Finish(fault.answer, call, logged, response, fault.chunked);
      case Fault::Kind::kAlter:
        return Finish(Alter(fault, Handle(handler, call)), call, logged, response, fault.chunked);
      case Fault::Kind::kTruncate: {
        const Answer answer = fault.answer.status != 0 ? fault.answer : Handle(handler, call);
        logged.status = answer.status;
        return WriteHalf(answer, response);
      }
      case Fault::Kind::kHang: faults_.Wait(fault.hang); break;
      case Fault::Kind::kReset: break;
    }
    ResetConnection(port_, peer_port);
  }

  const HttpServerOptions options_;
  FaultScript& faults_;
  CallLog& log_;
  std::unique_ptr<httplib::Server> http_;
  std::thread thread_;
  int port_ = -1;
};

HttpServer::HttpServer(HttpServerOptions options, FaultScript& faults, CallLog& log)
    : impl_(std::make_unique<Impl>(std::move(options), faults, log)) {}
HttpServer::~HttpServer() = default;
absl::StatusOr<int> HttpServer::Bind() { return impl_->Bind(); }
void HttpServer::Route(const std::string& method, const std::string& pattern,
                       const std::string& operation, HttpHandler handler) {
  impl_->Route(method, pattern, operation, std::move(handler));
}
void HttpServer::Start() { impl_->Start(); }

}  // namespace cmkstore::dev_vault
