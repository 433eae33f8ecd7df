// cmkbench_echo DIRECTORY: the bare echo server in a process of its own. Writes the ports of its
// plaintext and its mTLS listener to DIRECTORY/ports; its certificates are in DIRECTORY/dev.

#include <signal.h>

#include <cstdio>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "base/file.h"
#include "service/dev_credentials.h"
#include "tests/bench/echo_server.h"

int main(int argc, char** argv) {
  using namespace cmkstore;
  if (argc != 2) return 2;
  const std::string directory = argv[1];
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  SystemClock clock;
  const auto minted = service::MintDevCredentials(directory, "echo", clock);
  if (!minted.ok()) return 1;
  const auto read = [&](const std::string& name) {
    return ReadFile(minted->directory + "/" + name).value_or("");
  };
  grpc::SslServerCredentialsOptions tls(GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  tls.pem_root_certs = read("ca.pem");
  tls.pem_key_cert_pairs.push_back({read("server.key"), read("server.pem")});
  auto server = bench::EchoServer::Start({{"127.0.0.1:0", grpc::InsecureServerCredentials()},
                                          {"127.0.0.1:0", grpc::SslServerCredentials(tls)}});
  if (!server.ok()) {
    std::fprintf(stderr, "%s\n", std::string(server.status().message()).c_str());
    return 1;
  }
  WriteFileDurably(directory + "/ports",
                   absl::StrCat((*server)->ports()[0], " ", (*server)->ports()[1]));
  int received = 0;
  sigwait(&signals, &received);
  return 0;
}
