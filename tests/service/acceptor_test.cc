// The listener's bounds, and that it outlives the exhaustion of descriptors.

#include "service/acceptor.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <deque>
#include <filesystem>
#include <vector>

#include "absl/strings/str_split.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "tests/testing/matchers.h"
#include "tests/testing/temp_dir.h"

namespace cmkstore::service {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(20);

// What the acceptor hands its connections to; closes one as gRPC does: shutdown, then close.
struct Received {
  absl::Mutex mutex;
  std::deque<int> connections;

  void CloseOne() {
    absl::MutexLock lock(&mutex);
    shutdown(connections.front(), SHUT_RDWR);
    close(connections.front());
    connections.pop_front();
  }
  // As gRPC does while a call of the connection goes on: the descriptor is closed when that ends.
  int ShutDownOne() {
    absl::MutexLock lock(&mutex);
    const int connection = connections.front();
    shutdown(connection, SHUT_RDWR);
    connections.pop_front();
    return connection;
  }
  bool AwaitCount(size_t wanted) {
    absl::MutexLock lock(&mutex);
    const auto reached = [&] { return connections.size() == wanted; };
    return mutex.AwaitWithTimeout(absl::Condition(&reached), kPatience);
  }
};

class ReceivingSink final : public Acceptor::Sink {
 public:
  explicit ReceivingSink(Received& received) : received_(received) {}
  void HandleNewConnection(NewConnectionParameters* parameters) override {
    absl::MutexLock lock(&received_.mutex);
    received_.connections.push_back(parameters->fd);
  }

 private:
  Received& received_;
};

class AcceptorTest : public ::testing::Test {
 protected:
  ~AcceptorTest() override {
    acceptor_.reset();
    for (const int client : clients_) close(client);
    absl::MutexLock lock(&received_.mutex);
    for (const int connection : received_.connections) close(connection);
  }
  void Listen(AcceptorOptions options) {
    auto listening = Acceptor::Listen("127.0.0.1:0", options);
    ASSERT_THAT(listening, testing::IsOk());
    acceptor_ = std::move(*listening);
    acceptor_->Start(std::make_unique<ReceivingSink>(received_));
  }
  int Socket() {
    clients_.push_back(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const timeval patience{20, 0};
    setsockopt(clients_.back(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    return clients_.back();
  }
  void Connect(int client) {
    sockaddr_in name{};
    name.sin_family = AF_INET;
    name.sin_port = htons(static_cast<uint16_t>(acceptor_->port()));
    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ASSERT_EQ(connect(client, reinterpret_cast<const sockaddr*>(&name), sizeof(name)), 0);
  }
  // Whether the other end has closed; waits for it.
  static bool IsClosed(int client) {
    char byte = 0;
    const ssize_t got = recv(client, &byte, 1, 0);
    return got == 0 || (got < 0 && errno != EAGAIN);
  }
  template <typename Predicate>
  static bool Await(Predicate reached) {
    const absl::Time give_up = absl::Now() + kPatience;
    while (!reached() && absl::Now() < give_up) absl::SleepFor(absl::Milliseconds(1));
    return reached();
  }

  Received received_;
  std::unique_ptr<Acceptor> acceptor_;
  std::vector<int> clients_;
};

TEST_F(AcceptorTest, OnePeerHasSoManyConnectionsAndNoMoreUntilOneEnds) {
  const testing::TempDir dir;
  const std::string log = dir.path() + "/log";
  ASSERT_TRUE(SetLogFile(log));
  Listen({.max_connections = 10, .max_per_peer = 2});
  Connect(Socket());
  Connect(Socket());
  ASSERT_TRUE(received_.AwaitCount(2));
  const int third = Socket();
  Connect(third);
  EXPECT_TRUE(IsClosed(third));
  EXPECT_EQ(acceptor_->Stats().refused, 1u);
  EXPECT_EQ(acceptor_->Stats().open, 2u);

  received_.CloseOne();
  ASSERT_TRUE(Await([&] { return acceptor_->Stats().open == 1; }));
  Connect(Socket());
  EXPECT_TRUE(received_.AwaitCount(2));
  EXPECT_EQ(acceptor_->Stats().accepted, 3u);

  const int fourth = Socket();
  Connect(fourth);
  EXPECT_TRUE(IsClosed(fourth));
  const std::vector<std::string> lines = absl::StrSplit(*ReadFile(log), '\n');
  SetLogFile("/dev/stderr");
  ASSERT_EQ(lines.size(), 3u) << "one for each, and the end of the last";
  for (int i = 0; i < 2; ++i) {
    EXPECT_THAT(lines[i],
                ::testing::HasSubstr(
                    R"("connection_refused","peer":"127.0.0.1","open":"2","of_peer":"2")"));
  }
}

TEST_F(AcceptorTest, AllTogetherHaveSoManyConnections) {
  Listen({.max_connections = 3, .max_per_peer = 100});
  for (int i = 0; i < 3; ++i) Connect(Socket());
  ASSERT_TRUE(received_.AwaitCount(3));
  const int fourth = Socket();
  Connect(fourth);
  EXPECT_TRUE(IsClosed(fourth));
}

TEST_F(AcceptorTest, AcceptorsShareAThirdOfTheDescriptors) {
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  rlimit few = before;
  few.rlim_cur = 120;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
  Listen({.acceptors = 10});
  setrlimit(RLIMIT_NOFILE, &before);
  for (int i = 0; i < 4; ++i) Connect(Socket());
  ASSERT_TRUE(received_.AwaitCount(4));
  const int fifth = Socket();
  Connect(fifth);
  EXPECT_TRUE(IsClosed(fifth));
}

TEST_F(AcceptorTest, AConnectionThatTheClientEndedIsCountedNoMore) {
  Listen({});
  const int client = Socket();
  Connect(client);
  ASSERT_TRUE(received_.AwaitCount(1));
  shutdown(client, SHUT_RDWR);
  received_.CloseOne();  // as gRPC does when it reads the end
  EXPECT_TRUE(Await([&] { return acceptor_->Stats().open == 0; }));
}

TEST_F(AcceptorTest, AConnectionWhoseSocketIsClosedLaterEndsOnceAndNoOtherWithIt) {
  Listen({.max_connections = 1});
  const int first = Socket(), second = Socket(), third = Socket();
  const int lowest = open("/dev/null", O_RDONLY | O_CLOEXEC);
  Connect(first);
  ASSERT_TRUE(received_.AwaitCount(1));
  const int still_open = received_.ShutDownOne();
  ASSERT_TRUE(Await([&] { return acceptor_->Stats().open == 0; }));

  close(lowest);  // for the second connection itself: its watch has the number of the first one's
  Connect(second);
  ASSERT_TRUE(received_.AwaitCount(1));
  Connect(third);
  EXPECT_TRUE(IsClosed(third)) << "the second is still counted";
  EXPECT_EQ(acceptor_->Stats().open, 1u);
  acceptor_->StopAccepting();
  EXPECT_FALSE(acceptor_->AwaitEnds(absl::Now() + absl::Milliseconds(50)));
  close(still_open);
}

TEST_F(AcceptorTest, AfterTheDescriptorsWereExhaustedItAcceptsAgain) {
  Listen({});
  const int first = Socket(), second = Socket();
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  rlimit few = before;
  few.rlim_cur = 200;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
  std::vector<int> taken;
  for (int one = open("/dev/null", O_RDONLY); one >= 0; one = open("/dev/null", O_RDONLY)) {
    taken.push_back(one);
  }
  ASSERT_FALSE(taken.empty());
  Connect(first);
  EXPECT_TRUE(Await([&] { return acceptor_->Stats().failed > 0; }));
  EXPECT_EQ(acceptor_->Stats().accepted, 0u);

  for (const int one : taken) close(one);
  setrlimit(RLIMIT_NOFILE, &before);
  EXPECT_TRUE(received_.AwaitCount(1)) << "what waited is served";
  Connect(second);
  EXPECT_TRUE(received_.AwaitCount(2)) << "and so is what comes";
}

TEST_F(AcceptorTest, ATakenPortAndANonsenseAddressAreRefusedByName) {
  Listen({});
  const std::string taken = "127.0.0.1:" + std::to_string(acceptor_->port());
  for (const std::string& address : {taken, std::string("nowhere"), std::string("unix:")}) {
    const auto second = Acceptor::Listen(address, {});
    ASSERT_FALSE(second.ok());
    EXPECT_NE(second.status().message().find(address), absl::string_view::npos);
  }
}

TEST_F(AcceptorTest, ASocketFileIsTakenFromADeadServerAndNotFromOneThatServes) {
  const testing::TempDir dir;
  const std::string address = "unix:" + dir.path() + "/socket";
  auto first = Acceptor::Listen(address, {});
  ASSERT_THAT(first, testing::IsOk());
  (*first)->Start(std::make_unique<ReceivingSink>(received_));
  const auto second = Acceptor::Listen(address, {});
  ASSERT_FALSE(second.ok());
  EXPECT_THAT(std::string(second.status().message()),
              ::testing::HasSubstr("cannot listen on " + address + ": Address already in use"));
  EXPECT_TRUE(Await([&] { return (*first)->Stats().accepted == 1; })) << "it still listens there";

  first->reset();
  ASSERT_TRUE(std::filesystem::exists(dir.path() + "/socket")) << "as after a kill";
  EXPECT_THAT(Acceptor::Listen(address, {}), testing::IsOk());
}

TEST_F(AcceptorTest, AFileThatIsNoSocketIsNeverRemoved) {
  const testing::TempDir dir;
  const std::string path = dir.path() + "/file";
  ASSERT_TRUE(WriteFileDurably(path, "kept"));
  EXPECT_FALSE(Acceptor::Listen("unix:" + path, {}).ok());
  EXPECT_EQ(ReadFile(path), "kept");
}

}  // namespace
}  // namespace cmkstore::service
