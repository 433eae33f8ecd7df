// What only a real connection shows: TLS versions, names, chains, slow and endless answers.

#include <gtest/gtest.h>

#include <cstdlib>

#include "absl/strings/match.h"
#include "absl/time/clock.h"
#include "base/curl_transport.h"
#include "tests/testing/matchers.h"
#include "tests/vault/tls_server.h"
#include "vault/vault_errors.h"

namespace cmkstore {
namespace {

using testing::FailsWith;
using testing::IsOk;
using testing::TlsServer;

constexpr char kHost[] = "contoso.vault.azure.net";

class TlsAnswersTest : public ::testing::Test {
 protected:
  absl::StatusOr<HttpResponse> Get(TlsServer& server, const std::string& path = "/x",
                                   absl::Duration within = absl::Seconds(10)) {
    CurlTransport transport({.ca_file = server.ca_file(), .connect_to = {server.ConnectTo(kHost)}});
    HttpRequest request;
    request.url = absl::StrCat("https://", kHost, path);
    return transport.Send(request, absl::Now() + within);
  }
  static void Greet(TlsServer& server) {
    server.http().Get("/x", [](const httplib::Request&, httplib::Response& response) {
      response.set_content("{}", "application/json");
    });
  }
};

TEST_F(TlsAnswersTest, AServerOfTls12OnlyIsSpokenTo) {
  TlsServer server({.max_version = TLS1_2_VERSION});
  Greet(server);
  EXPECT_THAT(Get(server), IsOk());
}

TEST_F(TlsAnswersTest, AServerOfOlderTlsIsNot) {
  TlsServer server({.min_version = TLS1_VERSION, .max_version = TLS1_1_VERSION});
  Greet(server);
  const auto answer = Get(server);
  EXPECT_THAT(answer, FailsWith("VAULT_UNREACHABLE", "tls"));
  EXPECT_EQ(CauseOf(answer.status()), "tls");
}

TEST_F(TlsAnswersTest, AWildcardCertificateOneLabelDeepIsAccepted) {
  TlsServer server({.names = {"DNS:*.vault.azure.net"}});
  Greet(server);
  EXPECT_THAT(Get(server), IsOk());
}

TEST_F(TlsAnswersTest, ACertificateOfAnotherNameIsRefused) {
  TlsServer server({.names = {"DNS:fabrikam.vault.azure.net", "DNS:*.azure.net"}});
  Greet(server);
  EXPECT_THAT(Get(server), FailsWith("VAULT_UNREACHABLE", "tls"));
}

TEST_F(TlsAnswersTest, ACertificateOfAnotherIssuerIsRefused) {
  TlsServer server({}), other({});
  Greet(server);
  CurlTransport transport({.ca_file = other.ca_file(), .connect_to = {server.ConnectTo(kHost)}});
  HttpRequest request;
  request.url = absl::StrCat("https://", kHost, "/x");
  EXPECT_THAT(transport.Send(request, absl::Now() + absl::Seconds(10)),
              FailsWith("VAULT_UNREACHABLE", "tls"));
}

TEST_F(TlsAnswersTest, AnEndlessChainIsRefused) {
  TlsServer server({.extra_certificates = 200});
  Greet(server);
  EXPECT_THAT(Get(server), FailsWith("VAULT_UNREACHABLE", "tls"));
}

TEST_F(TlsAnswersTest, AChunkedBodyIsReadWhole) {
  TlsServer server({});
  server.http().Get("/x", [](const httplib::Request&, httplib::Response& response) {
    response.set_chunked_content_provider("application/json", [](size_t, httplib::DataSink& sink) {
      sink.write("{\"a\"", 4);
      sink.write(":1}", 3);
      sink.done();
      return true;
    });
  });
  const auto answer = Get(server);
  ASSERT_THAT(answer, IsOk());
  EXPECT_EQ(answer->body, "{\"a\":1}");
}

TEST_F(TlsAnswersTest, ARedirectIsAnAnswerAndNotFollowed) {
  TlsServer server({});
  int followed = 0;
  server.http().Get("/x", [](const httplib::Request&, httplib::Response& response) {
    response.status = 307;
    response.set_header("Location", "/y");
  });
  server.http().Get("/y", [&](const httplib::Request&, httplib::Response&) { ++followed; });
  const auto answer = Get(server);
  ASSERT_THAT(answer, IsOk());
  EXPECT_EQ(answer->status, 307);
  EXPECT_EQ(followed, 0);
}

TEST_F(TlsAnswersTest, AHugeBodyIsCutOff) {
  TlsServer server({});
  server.http().Get("/x", [](const httplib::Request&, httplib::Response& response) {
    response.set_content(std::string(1 << 20, 'x'), "application/json");
  });
  EXPECT_THAT(Get(server), FailsWith("VAULT_UNREACHABLE", "too_large"));
}

TEST_F(TlsAnswersTest, TooManyHeadersAreCutOff) {
  TlsServer server({});
  server.http().Get("/x", [](const httplib::Request&, httplib::Response& response) {
    for (int i = 0; i < 200; ++i) response.set_header(absl::StrCat("X-", i), "y");
  });
  EXPECT_THAT(Get(server), FailsWith("VAULT_UNREACHABLE", "too_large"));
}

TEST_F(TlsAnswersTest, ADrippingAnswerEndsAtTheDeadline) {
  TlsServer server({});
  server.http().Get("/x", [](const httplib::Request&, httplib::Response& response) {
    response.set_chunked_content_provider("application/json", [](size_t, httplib::DataSink& sink) {
      absl::SleepFor(absl::Milliseconds(50));
      return sink.write("x", 1);
    });
  });
  const auto answer = Get(server, "/x", absl::Milliseconds(600));
  EXPECT_THAT(answer, FailsWith("VAULT_UNREACHABLE", "timeout"));
  EXPECT_EQ(CauseOf(answer.status()), "timeout");
}

TEST_F(TlsAnswersTest, TheStepAtWhichAServerHangsIsNamed) {
  TlsServer server({});
  Greet(server);
  server.http().Get("/hang", [](const httplib::Request&, httplib::Response&) {
    absl::SleepFor(absl::Milliseconds(900));
  });
  CurlTransport transport({.ca_file = server.ca_file(), .connect_to = {server.ConnectTo(kHost)}});
  HttpRequest request;
  for (const bool reused : {false, true}) {
    if (reused) {
      request.url = absl::StrCat("https://", kHost, "/x");
      EXPECT_THAT(transport.Send(request, absl::Now() + absl::Seconds(10)), IsOk());
    }
    request.url = absl::StrCat("https://", kHost, "/hang");
    const auto answer = transport.Send(request, absl::Now() + absl::Milliseconds(400));
    EXPECT_THAT(answer, FailsWith("VAULT_UNREACHABLE", "did not answer within")) << reused;
    EXPECT_EQ(CauseOf(answer.status()), "timeout");
  }
  // Takes connections, and says nothing.
  httplib::Server silent;
  const int port = silent.bind_to_any_port("127.0.0.1");
  CurlTransport mute({.ca_file = "", .connect_to = {absl::StrCat(kHost, ":443:127.0.0.1:", port)}});
  const auto answer = mute.Send(request, absl::Now() + absl::Milliseconds(400));
  EXPECT_THAT(answer, FailsWith("VAULT_UNREACHABLE", "did not shake hands"));
  EXPECT_EQ(CauseOf(answer.status()), "tls");
}

// A vault that was deleted may lose its name, or keep it: neither says that the key was withdrawn.
TEST_F(TlsAnswersTest, AClosedPortAndAnUnknownNameAreToldApartAndNeitherIsADenial) {
  std::string nobody;
  {
    TlsServer server({});
    nobody = server.ConnectTo(kHost);
  }
  CurlTransport closed({.ca_file = "", .connect_to = {nobody}});
  HttpRequest request;
  request.url = absl::StrCat("https://", kHost, "/x");
  const absl::Status refused = closed.Send(request, absl::Now() + absl::Seconds(5)).status();
  EXPECT_EQ(CauseOf(refused), "connect");
  EXPECT_EQ(vault::OutcomeOf(refused), vault::VaultOutcome::kUnreachable);
  CurlTransport lost(
      {.ca_file = "", .connect_to = {absl::StrCat(kHost, ":443:no-such-host.invalid:443")}});
  const absl::Status unknown = lost.Send(request, absl::Now() + absl::Seconds(5)).status();
  EXPECT_EQ(CauseOf(unknown), "dns");
  EXPECT_EQ(vault::OutcomeOf(unknown), vault::VaultOutcome::kUnreachable);
}

TEST_F(TlsAnswersTest, ProxiesOfTheEnvironmentAreNotUsed) {
  TlsServer server({});
  Greet(server);
  for (const char* name : {"https_proxy", "HTTPS_PROXY", "http_proxy", "all_proxy"}) {
    setenv(name, "http://127.0.0.1:1", 1);
  }
  EXPECT_THAT(Get(server), IsOk());
  for (const char* name : {"https_proxy", "HTTPS_PROXY", "http_proxy", "all_proxy"}) unsetenv(name);
}

}  // namespace
}  // namespace cmkstore
