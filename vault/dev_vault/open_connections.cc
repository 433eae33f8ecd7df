#include "vault/dev_vault/open_connections.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <filesystem>
#include <functional>

#include "absl/strings/numbers.h"

namespace cmkstore::dev_vault {
namespace {

int PortOf(const sockaddr_storage& address) {
  if (address.ss_family == AF_INET) {
    return ntohs(reinterpret_cast<const sockaddr_in&>(address).sin_port);
  }
  if (address.ss_family == AF_INET6) {
    return ntohs(reinterpret_cast<const sockaddr_in6&>(address).sin6_port);
  }
  return -1;
}

// Calls `act` with each connection whose local port is `port`, and with its peer's port.
void ForEachConnection(int port, const std::function<void(int fd, int peer_port)>& act) {
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd", ignored)) {
    int fd = -1;
    if (!absl::SimpleAtoi(entry.path().filename().string(), &fd)) continue;
    sockaddr_storage local{}, peer{};
    socklen_t local_size = sizeof(local), peer_size = sizeof(peer);
    if (getsockname(fd, reinterpret_cast<sockaddr*>(&local), &local_size) != 0 ||
        PortOf(local) != port ||
        getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &peer_size) != 0) {
      continue;
    }
    act(fd, PortOf(peer));
  }
}

}  // namespace

void ResetConnection(int port, int peer_port) {
  ForEachConnection(port, [peer_port](int fd, int peer) {
    if (peer != peer_port) return;
    sockaddr nothing{};
    nothing.sa_family = AF_UNSPEC;
    connect(fd, &nothing, sizeof(nothing));  // on Linux: disconnects with a reset
  });
}

void ShutDownConnections(int port) {
  ForEachConnection(port, [](int fd, int) { shutdown(fd, SHUT_RDWR); });
}

}  // namespace cmkstore::dev_vault
