#pragma once

#include <fcntl.h>
#include <gmock/gmock.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <string>

#include "tests/e2e/served_hub.h"

namespace cmkstore {

inline int FreePort() {
  const int socket_fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  EXPECT_EQ(bind(socket_fd, reinterpret_cast<sockaddr*>(&address), size), 0);
  getsockname(socket_fd, reinterpret_cast<sockaddr*>(&address), &size);
  close(socket_fd);
  return ntohs(address.sin_port);
}

// The real cmkstored in a process of its own, over mutual TLS, which can be ended like one.
class ServedProcess : public ::testing::Test {
 protected:
  ServedProcess() {
    testing::PlaceServerKeys(dir_.path());
    auto minted = service::MintDevCredentials(dir_.path(), kTenant, clock_);
    EXPECT_TRUE(minted.ok()) << minted.status();
    credentials_ = minted->directory;
    EXPECT_TRUE(WriteFileDurably(credentials_ + "/jwks.json", minted->issuer.jwks));
    config_ = absl::StrCat(
        "data_dir: ", dir_.path(), "/data\nlisteners: [{address: '127.0.0.1:", port_,
        "'}]\nadmin: {address: 'off'}\ntls: {certificate_file: ", credentials_,
        "/server.pem, key_file: ", credentials_, "/server.key, client_ca_file: ", credentials_,
        "/ca.pem}\nissuers: [{issuer: '", minted->issuer.issuer, "', jwks_file: ", credentials_,
        "/jwks.json}]\nshutdown: {notice: 200ms, drain: 10s}\n");
  }
  ~ServedProcess() override {
    if (server_ > 0) kill(server_, SIGKILL), waitpid(server_, nullptr, 0);
  }

  // With more lines of configuration.
  void StartServer(const std::string& settings = "") {
    const std::string config = dir_.path() + "/config.yaml", ready = dir_.path() + "/ready",
                      log = dir_.path() + "/log";
    std::filesystem::remove(ready);
    ASSERT_TRUE(WriteFileDurably(config, config_ + settings));
    server_ = fork();
    if (server_ == 0) {
      const int out = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
      dup2(out, 2);
      execl(CMKSTORED, CMKSTORED, "--config", config.c_str(), "--ready-file", ready.c_str(),
            nullptr);
      _exit(127);
    }
    // Long, for a machine that is busy with other things; but not for one that has ended.
    const absl::Time give_up = absl::Now() + absl::Minutes(5);
    siginfo_t ended{};
    while (!std::filesystem::exists(ready) && absl::Now() < give_up && ended.si_pid == 0) {
      waitid(P_PID, static_cast<id_t>(server_), &ended, WEXITED | WNOHANG | WNOWAIT);
      absl::SleepFor(absl::Milliseconds(5));
    }
    ASSERT_TRUE(std::filesystem::exists(ready)) << ReadFile(log).value_or("");
  }
  // What it exited with; -1 if by a signal.
  int Terminate() {
    int status = 0;
    kill(server_, SIGTERM);
    waitpid(server_, &status, 0);
    server_ = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
  void Kill() {
    kill(server_, SIGKILL);
    waitpid(server_, nullptr, 0);
    server_ = 0;
  }
  std::shared_ptr<grpc::Channel> Connect(int number) {
    grpc::ChannelArguments arguments;
    arguments.SetInt("cmkstore.test", number);  // a connection of its own
    arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 50);
    arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 50);
    arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 200);
    return grpc::CreateCustomChannel(
        absl::StrCat("localhost:", port_),
        grpc::SslCredentials({*ReadFile(credentials_ + "/ca.pem"),
                              *ReadFile(credentials_ + "/client.key"),
                              *ReadFile(credentials_ + "/client.pem")}),
        arguments);
  }
  // One that waits for a server goes on while there is none.
  std::unique_ptr<grpc::ClientContext> Caller(bool waits = true) {
    auto context = std::make_unique<grpc::ClientContext>();
    context->AddMetadata("authorization", "Bearer " + *ReadFile(credentials_ + "/owner.token"));
    context->set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
    context->set_wait_for_ready(waits);
    return context;
  }
  void MakeProject() {
    const auto channel = Connect(0);
    v1::CreateHubRequest hub;
    hub.set_parent(absl::StrCat("tenants/", kTenant));
    hub.set_hub_id("h1");
    hub.mutable_hub()->mutable_encryption()->mutable_platform_managed();
    v1::Hub made;
    ASSERT_EQ(ReasonOf(v1::HubService::NewStub(channel)->CreateHub(Caller().get(), hub, &made)),
              "OK");
    v1::CreateProjectRequest project;
    project.set_parent(kHub);
    project.set_project_id("p1");
    v1::Project begun;
    ASSERT_EQ(ReasonOf(v1::ProjectService::NewStub(channel)->CreateProject(Caller().get(), project,
                                                                           &begun)),
              "OK");
  }

  testing::TempDir dir_;
  SystemClock clock_;
  std::string credentials_, config_;
  const int port_ = FreePort();
  pid_t server_ = 0;
};

}  // namespace cmkstore
