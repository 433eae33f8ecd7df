// What comes back over a connection before the answer does.

#include "base/curl_transport.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <thread>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"

namespace cmkstore {
namespace {

// Answers one request on a free port with the bytes that a test gives, whatever was asked.
class OneAnswer {
 public:
  explicit OneAnswer(std::string answer) : listener_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    EXPECT_EQ(bind(listener_, reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(listen(listener_, 1), 0);
    EXPECT_EQ(getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size), 0);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this, answer = std::move(answer)] {
      const int connection = accept(listener_, nullptr, nullptr);
      std::string request;
      char buffer[1024];
      while (!absl::StrContains(request, "\r\n\r\n")) {
        const ssize_t bytes = read(connection, buffer, sizeof(buffer));
        if (bytes <= 0) break;
        request.append(buffer, static_cast<size_t>(bytes));
      }
      EXPECT_EQ(write(connection, answer.data(), answer.size()),
                static_cast<ssize_t>(answer.size()));
      close(connection);
    });
  }
  ~OneAnswer() {
    thread_.join();
    close(listener_);
  }
  std::string url() const { return absl::StrCat("http://127.0.0.1:", port_, "/"); }

 private:
  const int listener_;
  int port_ = 0;
  std::thread thread_;
};

TEST(CurlTransportTest, HeadersOfAnInterimAnswerAreNoneOfTheAnswers) {
  OneAnswer server(
      "HTTP/1.1 103 Early Hints\r\nWWW-Authenticate: Bearer interim\r\nX-Early: 1\r\n\r\n"
      "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Bearer final\r\nContent-Length: 0\r\n\r\n");
  CurlTransport transport({.ca_file = "", .connect_to = {}});
  const auto response =
      transport.Send({"GET", server.url(), {}, ""}, absl::Now() + absl::Seconds(30));
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->status, 401);
  EXPECT_EQ(response->Header("WWW-Authenticate"), "Bearer final");
  EXPECT_EQ(response->Header("X-Early"), "");
}

}  // namespace
}  // namespace cmkstore
