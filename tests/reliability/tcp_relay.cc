#include "tests/reliability/tcp_relay.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "absl/time/clock.h"

namespace cmkstore::reliability {
namespace {

constexpr int kLookMilliseconds = 50;

sockaddr_in Loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

int ConnectTo(int port) {
  const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_in address = Loopback(port);
  if (connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0) {
    return socket;
  }
  close(socket);
  return -1;
}

// False when that direction has ended.
bool Pass(int from, int to) {
  char buffer[16 << 10];
  const ssize_t got = recv(from, buffer, sizeof(buffer), 0);
  if (got <= 0) return false;
  for (ssize_t sent = 0; sent < got;) {
    const ssize_t more = send(to, buffer + sent, static_cast<size_t>(got - sent), MSG_NOSIGNAL);
    if (more <= 0) return false;
    sent += more;
  }
  return true;
}

}  // namespace

TcpRelay::TcpRelay(int target_port) : target_(target_port) {
  listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = Loopback(0);
  bind(listener_, reinterpret_cast<const sockaddr*>(&address), sizeof(address));
  listen(listener_, 256);
  socklen_t size = sizeof(address);
  getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
  port_ = ntohs(address.sin_port);
  acceptor_ = std::thread([this] { Accept(); });
}

TcpRelay::~TcpRelay() {
  stopping_ = true;
  ++generation_;
  acceptor_.join();
  close(listener_);
}

void TcpRelay::Lead(int port) {
  absl::MutexLock lock(&mutex_);
  taken_.clear();
  target_ = port;
  ++generation_;
}

std::vector<absl::Time> TcpRelay::Taken() {
  absl::MutexLock lock(&mutex_);
  return taken_;
}

void TcpRelay::Accept() {
  while (!stopping_) {
    pollfd waiting{listener_, POLLIN, 0};
    if (poll(&waiting, 1, kLookMilliseconds) <= 0) continue;
    const int caller = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (caller < 0) continue;
    const int generation = generation_;
    {
      absl::MutexLock lock(&mutex_);
      taken_.push_back(absl::Now());
    }
    const int target = ConnectTo(target_);
    JoinEnded();
    Carrier& carrier = carriers_.emplace_back();
    carrier.thread = std::thread([this, &carrier, caller, target, generation] {
      Carry(caller, target, generation);
      carrier.ended = true;
    });
  }
  for (Carrier& carrier : carriers_) carrier.thread.join();
}

void TcpRelay::JoinEnded() {
  for (auto carrier = carriers_.begin(); carrier != carriers_.end();) {
    if (carrier->ended) {
      carrier->thread.join();
      carrier = carriers_.erase(carrier);
    } else {
      ++carrier;
    }
  }
}

void TcpRelay::Carry(int caller, int target, int generation) {
  while (target >= 0 && generation == generation_) {
    pollfd ends[] = {{caller, POLLIN, 0}, {target, POLLIN, 0}};
    if (poll(ends, 2, kLookMilliseconds) < 0) break;
    if (ends[0].revents != 0 && !Pass(caller, target)) break;
    if (ends[1].revents != 0 && !Pass(target, caller)) break;
  }
  close(caller);
  if (target >= 0) close(target);
}

}  // namespace cmkstore::reliability
