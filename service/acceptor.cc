#include "service/acceptor.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/errors.h"
#include "base/log.h"
#include "base/status_macros.h"

namespace cmkstore::service {
namespace {

constexpr int kBacklog = 1024;
constexpr int kPauseMilliseconds = 50;
constexpr size_t kMaxEvents = 64;
constexpr size_t kIpv6NetworkBytes = 8;

absl::Status CannotListen(absl::string_view address) {
  return InvariantBroken(absl::StrCat("cannot listen on ", address, ": ", std::strerror(errno),
                                      " (is it taken by another server, or not of this machine?)"));
}

absl::StatusOr<int> ListenOn(const std::string& address, const sockaddr* name, socklen_t bytes) {
  const int listener = socket(name->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (listener < 0) return CannotListen(address);
  const int yes = 1, no = 0;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
  if (name->sa_family == AF_INET6) {
    setsockopt(listener, IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof(no));
  }
  if (bind(listener, name, bytes) != 0 || listen(listener, kBacklog) != 0) {
    absl::Status failed = CannotListen(address);
    close(listener);
    return failed;
  }
  return listener;
}

// Whether a server that was killed has left this socket: nobody listens there. Never a file of
// another kind.
bool IsLeftBehind(const sockaddr_un& name) {
  struct stat old {};
  if (stat(name.sun_path, &old) != 0 || !S_ISSOCK(old.st_mode)) return false;
  const int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (probe < 0) return false;
  const bool refused =
      connect(probe, reinterpret_cast<const sockaddr*>(&name), sizeof(name)) != 0 &&
      errno == ECONNREFUSED;
  close(probe);
  return refused;
}

absl::StatusOr<int> ListenUnix(const std::string& address, absl::string_view path) {
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof(name.sun_path)) {
    return InvariantBroken(absl::StrCat("cannot listen on ", address, ": not a socket's path"));
  }
  std::memcpy(name.sun_path, path.data(), path.size());
  if (IsLeftBehind(name)) unlink(name.sun_path);
  return ListenOn(address, reinterpret_cast<const sockaddr*>(&name), sizeof(name));
}

absl::StatusOr<int> ListenTcp(const std::string& address) {
  const size_t colon = address.rfind(':');
  if (colon == std::string::npos) {
    return InvariantBroken(absl::StrCat("cannot listen on ", address, ": it names no port"));
  }
  absl::string_view host = absl::string_view(address).substr(0, colon);
  if (absl::ConsumePrefix(&host, "[")) absl::ConsumeSuffix(&host, "]");
  addrinfo hints{}, *found = nullptr;
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  const int error =
      getaddrinfo(std::string(host).c_str(), address.substr(colon + 1).c_str(), &hints, &found);
  if (error != 0) {
    return InvariantBroken(absl::StrCat("cannot listen on ", address, ": ", gai_strerror(error)));
  }
  absl::StatusOr<int> listener = ListenOn(address, found->ai_addr, found->ai_addrlen);
  freeaddrinfo(found);
  return listener;
}

// Whom a connection counts for.
std::string PeerOf(int connection) {
  sockaddr_storage name{};
  socklen_t bytes = sizeof(name);
  if (getpeername(connection, reinterpret_cast<sockaddr*>(&name), &bytes) != 0) return "";
  if (name.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(name);
    return absl::StrCat("4", absl::string_view(reinterpret_cast<const char*>(&v4.sin_addr), 4));
  }
  if (name.ss_family == AF_INET6) {
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(name);
    const auto* raw = reinterpret_cast<const char*>(&v6.sin6_addr);
    if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr)) {
      return absl::StrCat("4", absl::string_view(raw + 12, 4));
    }
    return absl::StrCat("6", absl::string_view(raw, kIpv6NetworkBytes));
  }
  return "unix";
}

// The same for people: "10.0.0.1", "2001:db8::/64".
std::string ToText(const std::string& peer) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  std::array<char, sizeof(in6_addr)> address{};
  if (peer.size() < 5 || peer == "unix") return peer;
  std::copy(peer.begin() + 1, peer.end(), address.begin());
  const bool is_v4 = peer[0] == '4';
  inet_ntop(is_v4 ? AF_INET : AF_INET6, address.data(), text.data(), text.size());
  return absl::StrCat(text.data(), is_v4 ? "" : "/64");
}

int PortOf(int listener) {
  sockaddr_storage name{};
  socklen_t bytes = sizeof(name);
  getsockname(listener, reinterpret_cast<sockaddr*>(&name), &bytes);
  if (name.ss_family == AF_INET) return ntohs(reinterpret_cast<sockaddr_in&>(name).sin_port);
  if (name.ss_family == AF_INET6) return ntohs(reinterpret_cast<sockaddr_in6&>(name).sin6_port);
  return 0;
}

// Of a third, since each connection takes two: a third is left for files.
size_t PartOfDescriptors(size_t acceptors) {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);
  return std::max<size_t>(1, limit.rlim_cur / 3 / acceptors);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Acceptor>> Acceptor::Listen(const std::string& address,
                                                           AcceptorOptions options) {
  options.max_connections = std::min(options.max_connections, PartOfDescriptors(options.acceptors));
  absl::string_view path = address;
  const bool is_unix = absl::ConsumePrefix(&path, "unix:");
  CMK_ASSIGN_OR_RETURN(const int listener,
                       is_unix ? ListenUnix(address, path) : ListenTcp(address));
  return std::unique_ptr<Acceptor>(new Acceptor(listener, PortOf(listener), options));
}

Acceptor::Acceptor(int listener, int port, AcceptorOptions options)
    : options_(options),
      port_(port),
      listener_(listener),
      epoll_(epoll_create1(EPOLL_CLOEXEC)),
      stop_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

Acceptor::~Acceptor() {
  StopAccepting();
  for (const auto& [watched, peer] : watched_) close(watched);
  close(epoll_);
  close(stop_);
}

void Acceptor::Watch(int descriptor, uint32_t events) {
  epoll_event event{};
  event.events = events;
  event.data.fd = descriptor;
  epoll_ctl(epoll_, EPOLL_CTL_ADD, descriptor, &event);
}

void Acceptor::Start(std::unique_ptr<Sink> sink) {
  sink_ = std::move(sink);
  Watch(stop_, EPOLLIN);
  Watch(listener_, EPOLLIN);
  thread_ = std::thread([this] { Loop(); });
  pthread_setname_np(thread_.native_handle(), "acceptor");
}

void Acceptor::StopAccepting() {
  if (thread_.joinable()) {
    eventfd_write(stop_, 1);
    thread_.join();
  }
  if (listener_ >= 0) close(std::exchange(listener_, -1));
}

bool Acceptor::AwaitEnds(absl::Time deadline) {
  epoll_ctl(epoll_, EPOLL_CTL_DEL, stop_, nullptr);
  std::array<epoll_event, kMaxEvents> events;
  while (!watched_.empty()) {
    const int64_t left = absl::ToInt64Milliseconds(deadline - absl::Now());
    if (left <= 0) return false;
    const int ready = epoll_wait(epoll_, events.data(), static_cast<int>(events.size()),
                                 static_cast<int>(std::min<int64_t>(left, 1000)));
    for (int i = 0; i < ready; ++i) Ended(events[static_cast<size_t>(i)].data.fd);
  }
  return true;
}

AcceptorStats Acceptor::Stats() const { return {open_, accepted_, refused_, failed_}; }

void Acceptor::Loop() {
  std::array<epoll_event, kMaxEvents> events;
  for (;;) {
    const int ready = epoll_wait(epoll_, events.data(), static_cast<int>(events.size()),
                                 paused_ ? kPauseMilliseconds : -1);
    for (int i = 0; i < ready; ++i) {
      const int descriptor = events[static_cast<size_t>(i)].data.fd;
      if (descriptor == stop_) return;
      if (descriptor != listener_) Ended(descriptor);
    }
    // Also after each pause: what waits in the backlog makes no new event.
    if (paused_) {
      paused_ = false;
      Watch(listener_, EPOLLIN);
    }
    AcceptAll();
  }
}

void Acceptor::AcceptAll() {
  for (;;) {
    const int connection = accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (connection >= 0) {
      HandOver(connection);
      continue;
    }
    if (errno == EINTR || errno == ECONNABORTED) continue;
    if (errno == EAGAIN || errno == EWOULDBLOCK) return;
    // No descriptor or no memory. The listener stays ready, so looking at it would spin.
    const std::string error = std::strerror(errno);
    ++failed_;
    if (!std::exchange(failing_, true)) Log(LogLevel::kError, "accept_failed", {{"error", error}});
    epoll_ctl(epoll_, EPOLL_CTL_DEL, listener_, nullptr);
    paused_ = true;
    return;
  }
}

void Acceptor::HandOver(int connection) {
  const std::string peer = PeerOf(connection);
  const auto count = per_peer_.find(peer);
  const size_t of_peer = count == per_peer_.end() ? 0 : count->second;
  if (watched_.size() >= options_.max_connections || of_peer >= options_.max_per_peer) {
    ++refused_;
    Log(LogLevel::kWarning, "connection_refused",
        {{"peer", ToText(peer)},
         {"open", absl::StrCat(watched_.size())},
         {"of_peer", absl::StrCat(of_peer)}});
    close(connection);
    return;
  }
  const int watched = fcntl(connection, F_DUPFD_CLOEXEC, 0);
  if (watched < 0) {
    ++failed_;
    close(connection);
    return;
  }
  const int yes = 1;
  setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
  watched_[watched] = peer;
  ++per_peer_[peer];
  ++accepted_;
  failing_ = false;
  open_ = watched_.size();
  Watch(watched, 0);  // hang-ups and errors are always told
  Sink::NewConnectionParameters parameters;
  parameters.listener_fd = listener_;
  parameters.fd = connection;
  sink_->HandleNewConnection(&parameters);
}

void Acceptor::Ended(int watched) {
  const auto found = watched_.find(watched);
  if (found == watched_.end()) return;
  const auto count = per_peer_.find(found->second);
  if (--count->second == 0) per_peer_.erase(count);
  watched_.erase(found);
  open_ = watched_.size();
  // Closing it does not end that: gRPC keeps its own descriptor of the socket until the last call
  // of the connection has ended. The hang-up would be told without end, and in the end of another
  // connection that was given the number.
  epoll_ctl(epoll_, EPOLL_CTL_DEL, watched, nullptr);
  close(watched);
}

}  // namespace cmkstore::service
