#include "base/curl_transport.h"

#include <curl/curl.h>

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/errors.h"

namespace cmkstore {
namespace {

constexpr absl::Duration kRetryAfter = absl::Seconds(5);
constexpr size_t kMaxIdleHandles = 64;

struct Receiver {
  HttpResponse response;
  size_t max_bytes;
};

size_t ReceiveBody(char* data, size_t size, size_t count, void* context) {
  auto* receiver = static_cast<Receiver*>(context);
  if (receiver->response.body.size() + size * count > receiver->max_bytes) return 0;
  receiver->response.body.append(data, size * count);
  return size * count;
}

size_t ReceiveHeader(char* data, size_t size, size_t count, void* context) {
  auto* receiver = static_cast<Receiver*>(context);
  const absl::string_view line(data, size * count);
  // An answer begins here: what came with an interim one (1xx) is not of it.
  if (absl::StartsWith(line, "HTTP/")) receiver->response.headers.clear();
  if (receiver->response.headers.size() >= 64) return 0;
  if (const size_t colon = line.find(':'); colon != absl::string_view::npos) {
    receiver->response.headers.emplace_back(
        std::string(line.substr(0, colon)),
        std::string(absl::StripAsciiWhitespace(line.substr(colon + 1))));
  }
  return size * count;
}

absl::string_view KindOf(CURLcode code) {
  switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST: return "dns";
    case CURLE_COULDNT_CONNECT: return "connect";
    case CURLE_WRITE_ERROR: return "too_large";
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CACERT_BADFILE: return "tls";
    default: return "transport";
  }
}

// How far a call had come when its time ran out: its kind, and what it waited for.
struct Hung {
  absl::string_view kind;
  absl::string_view at;
};
Hung WhereItHung(CURL* curl) {
  long sent = 0, port = 0;
  curl_off_t resolved = 0;
  curl_easy_getinfo(curl, CURLINFO_REQUEST_SIZE, &sent);
  curl_easy_getinfo(curl, CURLINFO_LOCAL_PORT, &port);
  curl_easy_getinfo(curl, CURLINFO_NAMELOOKUP_TIME_T, &resolved);
  if (sent > 0) return {"timeout", "it took the request, but did not answer"};
  if (port != 0) return {"tls", "it took the connection, but did not shake hands"};
  if (resolved > 0) return {"connect", "it took no connection"};
  return {"dns", "its name did not resolve"};
}

absl::Status FailureOf(CURL* curl, CURLcode code) {
  if (code != CURLE_OPERATION_TIMEDOUT) {
    return WithCause(
        VaultUnreachable(absl::StrCat(KindOf(code), ": ", curl_easy_strerror(code)), kRetryAfter),
        KindOf(code));
  }
  const Hung hung = WhereItHung(curl);
  curl_off_t microseconds = 0;
  curl_easy_getinfo(curl, CURLINFO_TOTAL_TIME_T, &microseconds);
  const absl::Duration total = absl::Microseconds(microseconds);
  const absl::Duration unit = absl::Milliseconds(total < absl::Seconds(1) ? 1 : 100);
  const absl::Duration waited = absl::Floor(total + unit / 2, unit);
  return WithCause(VaultUnreachable(absl::StrCat(hung.kind, ": ", hung.at, " within ",
                                                 absl::FormatDuration(waited)),
                                    kRetryAfter),
                   hung.kind);
}

struct ListFree {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
using List = std::unique_ptr<curl_slist, ListFree>;

List MakeList(const std::vector<std::string>& lines) {
  curl_slist* list = nullptr;
  for (const std::string& line : lines) list = curl_slist_append(list, line.c_str());
  return List(list);
}

}  // namespace

absl::string_view HttpResponse::Header(absl::string_view name) const {
  for (const auto& [key, value] : headers) {
    if (absl::EqualsIgnoreCase(key, name)) return value;
  }
  return "";
}

class CurlTransport::Handle {
 public:
  Handle() : curl_(curl_easy_init()) {}
  ~Handle() { curl_easy_cleanup(curl_); }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  CURL* get() const { return curl_; }

 private:
  CURL* curl_;
};

CurlTransport::CurlTransport(CurlTransportOptions options) : options_(std::move(options)) {
  static const CURLcode initialized = curl_global_init(CURL_GLOBAL_DEFAULT);
  (void)initialized;
}

CurlTransport::~CurlTransport() = default;

std::unique_ptr<CurlTransport::Handle> CurlTransport::Take() {
  absl::MutexLock lock(&mutex_);
  if (idle_.empty()) return std::make_unique<Handle>();
  std::unique_ptr<Handle> handle = std::move(idle_.back());
  idle_.pop_back();
  return handle;
}

void CurlTransport::GiveBack(std::unique_ptr<Handle> handle) {
  curl_easy_reset(handle->get());  // keeps its connections
  absl::MutexLock lock(&mutex_);
  if (idle_.size() < kMaxIdleHandles) idle_.push_back(std::move(handle));
}

absl::StatusOr<HttpResponse> CurlTransport::Send(const HttpRequest& request, absl::Time deadline) {
  const int64_t milliseconds = absl::ToInt64Milliseconds(deadline - absl::Now());
  if (milliseconds <= 0) {
    return WithCause(VaultUnreachable("timeout: no time was left", kRetryAfter), "timeout");
  }
  std::unique_ptr<Handle> handle = Take();
  CURL* const curl = handle->get();
  Receiver receiver{{}, options_.max_response_bytes};
  std::vector<std::string> lines = {"Expect:"};
  for (const auto& [key, value] : request.headers) lines.push_back(absl::StrCat(key, ": ", value));
  const List headers = MakeList(lines);
  const List connect_to = MakeList(options_.connect_to);

  curl_easy_setopt(curl, CURLOPT_URL, request.url.c_str());
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(curl, CURLOPT_PROXY, "");
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, static_cast<long>(milliseconds));
  curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS,
                   static_cast<long>(std::min(
                       milliseconds, absl::ToInt64Milliseconds(options_.connect_timeout))));
  curl_easy_setopt(curl, CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
  // A renewed CA bundle is read again; the system's is too large to be read for each connection.
  curl_easy_setopt(curl, CURLOPT_CA_CACHE_TIMEOUT, 60L);
  if (!options_.ca_file.empty()) {
    curl_easy_setopt(curl, CURLOPT_CAINFO, options_.ca_file.c_str());
  }
  if (connect_to != nullptr) curl_easy_setopt(curl, CURLOPT_CONNECT_TO, connect_to.get());
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers.get());
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, ReceiveBody);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &receiver);
  curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, ReceiveHeader);
  curl_easy_setopt(curl, CURLOPT_HEADERDATA, &receiver);
  if (request.method != "GET") {
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request.method.c_str());
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request.body.c_str());
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE,
                     static_cast<curl_off_t>(request.body.size()));
  }
  const CURLcode code = curl_easy_perform(curl);
  long status = 0;
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
  const absl::Status failure = code == CURLE_OK ? absl::OkStatus() : FailureOf(curl, code);
  GiveBack(std::move(handle));
  if (!failure.ok()) return failure;
  receiver.response.status = static_cast<int>(status);
  return std::move(receiver.response);
}

}  // namespace cmkstore
