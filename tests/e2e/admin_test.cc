// The admin port of a running server: health, metrics, status.

#include <grpcpp/impl/client_unary_call.h>
#include <grpcpp/impl/rpc_method.h>
#include <grpcpp/support/byte_buffer.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <set>
#include <thread>

#include "absl/strings/str_split.h"
#include "base/build_info.h"
#include "service/metrics.h"
#include "tests/e2e/admin_page.h"
#include "tests/e2e/served_hub.h"

namespace cmkstore {
namespace {

// grpc.health.v1 is not packaged as a proto: the messages by hand. Request: 1 service. Response:
// 1 status (1 SERVING, 2 NOT_SERVING).
// -1: the call failed.
int HealthOf(grpc::Channel& channel, const std::string& service) {
  std::string request;
  if (!service.empty()) {
    request = absl::StrCat("\x0a", std::string(1, static_cast<char>(service.size())), service);
  }
  grpc::Slice slice(request);
  const grpc::ByteBuffer ask(&slice, 1);
  grpc::ByteBuffer answer;
  grpc::ClientContext context;
  const grpc::Status status = grpc::internal::BlockingUnaryCall<grpc::ByteBuffer, grpc::ByteBuffer>(
      &channel,
      grpc::internal::RpcMethod("/grpc.health.v1.Health/Check",
                                grpc::internal::RpcMethod::NORMAL_RPC),
      &context, ask, &answer);
  if (!status.ok()) return -1;
  std::vector<grpc::Slice> parts;
  answer.Dump(&parts);
  return parts.size() == 1 && parts[0].size() == 2 ? parts[0].begin()[1] : 0;
}

class AdminTest : public ServedHub {
 protected:
  void SetUp() override { StartServer(); }
  void Adjust(service::ServerOptions& options) override {
    options.admin_address = "127.0.0.1:0";
    options.min_free_disk_bytes = min_free_disk_;
    options.scrub.interval = scrub_interval_;
    options.certificates = {{"server", credentials_ + "/server.pem"},
                            {"client_ca", credentials_ + "/ca.pem"},
                            {"client_ca", credentials_ + "/gone.pem"}};
  }
  HttpResponse Fetch(const std::string& path, const std::string& accept = "") {
    return FetchAdmin(server_->admin_port(), path, accept);
  }
  double Metric(const std::string& series) { return AdminMetric(server_->admin_port(), series); }

  uint64_t min_free_disk_ = 0;
  absl::Duration scrub_interval_ = absl::Hours(24);
};

TEST_F(AdminTest, AServerThatServesIsAliveStartedAndReady) {
  for (const char* path : {"/livez", "/startupz", "/readyz"}) {
    EXPECT_EQ(Fetch(path).status, 200) << path << Fetch(path).body;
  }
  EXPECT_NE(Fetch("/readyz").body.find("2 of 2 shards take writes"), std::string::npos);
  EXPECT_EQ(Fetch("/elsewhere").status, 404);
}

TEST_F(AdminTest, ADarkVaultDoesNotMakeTheServerUnready) {
  SetUpHub();
  ASSERT_EQ(ReasonOf(Put("d1", "{}")), "OK");
  SetKeyEnabled(false);
  AwaitReason("CUSTOMER_KEY_REVOKED");
  EXPECT_EQ(Fetch("/readyz").status, 200);
  EXPECT_EQ(Metric("cmkstore_keycache_vault_keys{state=\"denied\"}"), 1);
  EXPECT_EQ(Metric("cmkstore_keycache_hubs{state=\"locked\"}"), 1);
  const std::string wanted = absl::StrCat("\"hub\":\"", kHub, "\",\"by\":\"vault\"");
  std::string log;
  // The line comes after the refusal.
  for (int i = 0; i < 200 && log.find(wanted) == std::string::npos; ++i) {
    absl::SleepFor(absl::Milliseconds(50));
    log = *ReadFile(dir_.path() + "/log.jsonl");
  }
  EXPECT_NE(log.find(wanted), std::string::npos)
      << "whoever is paged must learn whose hub it is: " << log;
  EXPECT_GE(Metric("cmkstore_vault_calls_total{operation=\"unwrap\",outcome=\"denied\"}"), 2);
  EXPECT_GE(Metric("cmkstore_rpc_errors_total{reason=\"CUSTOMER_KEY_REVOKED\"}"), 1);
  EXPECT_EQ(Metric("cmkstore_ready"), 1);
}

TEST_F(AdminTest, AnOutageIsCountedByItsCauseAndBySide) {
  SetUpHub();
  ASSERT_EQ(ReasonOf(Put("d1", "{}")), "OK");
  EXPECT_EQ(Metric("cmkstore_vault_outages_total{cause=\"http_5xx\"}"), 0);
  owner_->Script({{{"operation", "unwrapkey"}, {"status", 503}, {"count", -1}}});
  const std::string in_trouble = "cmkstore_vaults_in_trouble{side=\"this_vault\"}";
  const absl::Time give_up = absl::Now() + absl::Seconds(10);
  while (Metric(in_trouble) == 0 && absl::Now() < give_up) {
    absl::SleepFor(absl::Milliseconds(20));
  }
  EXPECT_EQ(Metric(in_trouble), 1) << "it answers, so our network works";
  EXPECT_EQ(Metric("cmkstore_vaults_in_trouble{side=\"our_network\"}"), 0);
  EXPECT_GE(Metric("cmkstore_vault_outages_total{cause=\"http_5xx\"}"), 1);
  owner_->Script(nlohmann::json::array());
}

TEST_F(AdminTest, AFullDiskMakesItUnreadyForGrpcToo) {
  min_free_disk_ = uint64_t{1} << 60;
  StartServer();
  EXPECT_EQ(Fetch("/readyz").status, 503);
  EXPECT_NE(Fetch("/readyz").body.find("FAIL"), std::string::npos);
  EXPECT_EQ(Fetch("/livez").status, 200);
  EXPECT_EQ(HealthOf(*server_->InProcessChannel(), ""), 2);
  EXPECT_EQ(HealthOf(*server_->InProcessChannel(), "cmkstore.v1.DocumentService"), 2);
}

TEST_F(AdminTest, ARottenTableFileIsCountedThoughNobodyReadsIt) {
  SetUpHub();
  for (int i = 0; i < 60; ++i) {
    ASSERT_EQ(ReasonOf(Put(absl::StrCat("d", i), absl::StrCat("\"", std::string(1000, 'x'), "\""))),
              "OK");
  }
  StartServer();  // which makes a table of the log
  EXPECT_EQ(Metric("cmkstore_integrity_errors_total"), 0);
  server_.reset();
  std::string table;
  uintmax_t size = 0;
  for (const auto& file :
       std::filesystem::recursive_directory_iterator(dir_.path() + "/data/shards")) {
    if (file.path().extension() != ".sst" || file.file_size() <= size) continue;
    table = file.path();
    size = file.file_size();
  }
  ASSERT_GT(size, 60u * 1000);  // so that its middle is a document, which no start reads
  std::string content = *ReadFile(table);
  content[size / 2] = static_cast<char>(content[size / 2] ^ 1);
  ASSERT_TRUE(WriteFileDurably(table, content));
  scrub_interval_ = absl::Milliseconds(50);
  StartServer();
  const absl::Time give_up = absl::Now() + absl::Seconds(20);
  while (Metric("cmkstore_integrity_errors_total") == 0 && absl::Now() < give_up) {
    absl::SleepFor(absl::Milliseconds(20));
  }
  EXPECT_GE(Metric("cmkstore_integrity_errors_total"), 1);
}

TEST_F(AdminTest, GrpcHealthKnowsEachServiceAndTheEnd) {
  const auto channel = server_->InProcessChannel();
  for (const char* name : {"", "cmkstore.v1.DocumentService", "cmkstore.v1.HubService",
                           "google.longrunning.Operations"}) {
    EXPECT_EQ(HealthOf(*channel, name), 1) << name;
  }
  EXPECT_EQ(HealthOf(*channel, "no.such.Service"), -1);
  server_->StopBeingReady();
  EXPECT_EQ(HealthOf(*channel, "cmkstore.v1.DocumentService"), 2);
  EXPECT_EQ(Fetch("/readyz").status, 503);
  EXPECT_EQ(Fetch("/livez").status, 200);
}

// Each sends one header line after the other, and never the last.
TEST_F(AdminTest, WhoHoldsConnectionsOpenHoldsUpNeitherProbesNorTheEnd) {
  std::atomic<bool> stop = false;
  std::vector<int> connections;
  for (int i = 0; i < 64; ++i) {
    const int connection = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(server_->admin_port()));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ASSERT_EQ(connect(connection, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    connections.push_back(connection);
  }
  std::thread dripping([&] {
    for (bool first = true; !stop; first = false) {
      const std::string line = first ? "GET /livez HTTP/1.1\r\n" : "X-A: b\r\n";
      for (const int one : connections) (void)send(one, line.data(), line.size(), MSG_NOSIGNAL);
      absl::SleepFor(absl::Milliseconds(200));
    }
  });
  for (int i = 0; i < 5; ++i) EXPECT_EQ(Fetch("/livez").status, 200);
  const absl::Time began = absl::Now();
  server_.reset();
  EXPECT_LT(absl::Now() - began, absl::Seconds(10));
  stop = true;
  dripping.join();
  for (const int one : connections) close(one);
}

TEST_F(AdminTest, ARequestOfMoreThanSixteenKibibytesIsNotHeard) {
  CurlTransport transport({.ca_file = "", .connect_to = {}, .max_response_bytes = 8u << 20});
  HttpRequest request;
  request.url = absl::StrCat("http://127.0.0.1:", server_->admin_port(), "/livez");
  for (int i = 0; i < 8; ++i) request.headers.emplace_back("X-A", std::string(1000, 'x'));
  const absl::Time deadline = absl::Now() + absl::Seconds(10);
  const auto heard = transport.Send(request, deadline);
  ASSERT_TRUE(heard.ok()) << heard.status();
  EXPECT_EQ(heard->status, 200);
  for (int i = 0; i < 12; ++i) request.headers.emplace_back("X-A", std::string(1000, 'x'));
  const auto refused = transport.Send(request, deadline);
  EXPECT_TRUE(!refused.ok() || refused->status == 400);
}

TEST_F(AdminTest, TheMetricsAreThoseOfTheCatalogAndCountWhatWasDone) {
  SetUpHub();
  for (int i = 0; i < 3; ++i) ASSERT_EQ(ReasonOf(Put(absl::StrCat("d", i), "{}")), "OK");
  ASSERT_EQ(ReasonOf(Get("d1")), "OK");
  ASSERT_EQ(ReasonOf(Get("d1", nullptr, "key_admin")), "ACCESS_DENIED");
  std::set<std::string> shown, known;
  for (absl::string_view line : absl::StrSplit(Fetch("/metrics").body, '\n')) {
    if (absl::StartsWith(line, "# TYPE ")) {
      shown.insert(std::string(std::vector<absl::string_view>(absl::StrSplit(line, ' ')).at(2)));
    }
  }
  for (const MetricInfo* info : service::AllMetrics()) known.insert(info->name);
  EXPECT_EQ(shown, known);
  EXPECT_EQ(Metric("cmkstore_rpc_calls_total{method=\"UpdateDocument\",code=\"OK\"}"), 3);
  EXPECT_EQ(Metric("cmkstore_rpc_latency_seconds_count{method=\"UpdateDocument\"}"), 3);
  EXPECT_EQ(Metric("cmkstore_rpc_calls_total{method=\"GetDocument\",code=\"PERMISSION_DENIED\"}"),
            1);
  EXPECT_EQ(Metric("cmkstore_rpc_in_flight{method=\"UpdateDocument\"}"), 0);
  EXPECT_EQ(Metric("cmkstore_gate_refused_total{reason=\"ACCESS_DENIED\"}"), 1);
  EXPECT_EQ(Metric("cmkstore_gate_admitted_total"), 6);  // hub, project, 3 puts, 1 get
  EXPECT_GE(Metric("cmkstore_keycache_lookups_total{result=\"hit\"}"), 3);
  EXPECT_GE(Metric("cmkstore_commit_writes_total{shard=\"0\",result=\"committed\"}") +
                Metric("cmkstore_commit_writes_total{shard=\"1\",result=\"committed\"}"),
            5);
}

TEST_F(AdminTest, EndsOfCertificatesAndRoomOnDiskAreShown) {
  min_free_disk_ = 4096;
  StartServer();
  const double server_end =
      Metric("cmkstore_certificate_expiry_timestamp_seconds{file=\"server\"}");
  EXPECT_NEAR(server_end, static_cast<double>(absl::ToUnixSeconds(absl::Now())) + 30 * 86400, 600);
  EXPECT_EQ(Metric("cmkstore_certificate_expiry_timestamp_seconds{file=\"client_ca\"}"), 0)
      << "a file that cannot be read must not look as if it were in order";
  EXPECT_EQ(Metric("cmkstore_disk_needed_bytes"), 4096);
  EXPECT_GT(Metric("cmkstore_disk_size_bytes"), Metric("cmkstore_disk_free_bytes"));
}

TEST_F(AdminTest, TheStatusCountsHubsByTheirState) {
  SetUpHub();
  const auto hubs_after_a_minute = [this](int active, int deleted) {
    clock_.Advance(absl::Minutes(1));
    nlohmann::json hubs;
    for (const absl::Time give_up = absl::Now() + absl::Seconds(10); absl::Now() < give_up;) {
      hubs = nlohmann::json::parse(Fetch("/statusz?format=json").body)["hubs"];
      if (hubs["active"] == active && hubs["deleted"] == deleted) break;
      absl::SleepFor(absl::Milliseconds(20));
    }
    return hubs;
  };
  nlohmann::json hubs = hubs_after_a_minute(1, 0);
  EXPECT_EQ(hubs["active"], 1);
  EXPECT_EQ(hubs["deleted"], 0);
  v1::DeleteHubRequest request;
  request.set_name(kHub);
  v1::Hub deleted;
  ASSERT_EQ(ReasonOf(hubs_->DeleteHub(As("owner").get(), request, &deleted)), "OK");
  hubs = hubs_after_a_minute(0, 1);
  EXPECT_EQ(hubs["active"], 0);
  EXPECT_EQ(hubs["deleted"], 1);
  EXPECT_EQ(hubs["purged"], 0);
  EXPECT_NE(Fetch("/statusz", "text/html").body.find("deleted</th><td>1"), std::string::npos);
}

TEST_F(AdminTest, IndexesThatNobodyHasLookedAtSinceTheStartAreCounted) {
  const std::string unseen = "cmkstore_index_hubs{state=\"unseen\"}";
  const auto await_unseen = [&](double wanted) {
    const absl::Time give_up = absl::Now() + absl::Seconds(10);
    while (Metric(unseen) != wanted && absl::Now() < give_up) {
      absl::SleepFor(absl::Milliseconds(20));
    }
    return Metric(unseen);
  };
  SetUpHub();
  ASSERT_EQ(ReasonOf(Put("d1", "{}")), "OK");
  server_.reset();
  StartServer();
  EXPECT_EQ(await_unseen(1), 1) << "it was not used since";
  ASSERT_EQ(ReasonOf(Put("d1", "{}")), "OK");
  EXPECT_EQ(await_unseen(0), 0);
}

TEST_F(AdminTest, TheStatusIsForPeopleAndForPrograms) {
  SetUpHub();
  ASSERT_EQ(ReasonOf(Put("canary-document-id", R"({"canary-content": 1})")), "OK");
  const HttpResponse page = Fetch("/statusz", "text/html,application/xhtml+xml");
  EXPECT_NE(page.Header("Content-Type").find("text/html"), absl::string_view::npos);
  EXPECT_NE(page.body.find("<h2>shards</h2>"), std::string::npos);
  for (const HttpResponse& json :
       {Fetch("/statusz?format=json"), Fetch("/statusz", "application/json")}) {
    const auto status = nlohmann::json::parse(json.body);
    EXPECT_EQ(status["state"], "serving");
    EXPECT_EQ(status["shards"].size(), 2u);
    EXPECT_EQ(status["vault_keys"]["available"], 1);
    EXPECT_EQ(status["vaults"]["called_lately"], 1);
    EXPECT_EQ(status["vaults"]["reachable"], 1);
    EXPECT_EQ(status["vaults"]["in_trouble_our_network"], 0);
    EXPECT_EQ(status["revision"], std::string(BuildRevision()));
    EXPECT_EQ(status["hubs"]["with_cached_keys"], 1);
  }
  for (const char* path : {"/statusz", "/metrics", "/statusz?format=json", "/readyz"}) {
    const std::string body = Fetch(path).body;
    for (const std::string& secret :
         {std::string("canary"), std::string(kTenant), vault_->endpoints().url}) {
      EXPECT_EQ(body.find(secret), std::string::npos) << path << " shows " << secret;
    }
  }
}

TEST_F(AdminTest, AFailedCallIsLoggedUnderTheCallersTrace) {
  SetUpHub();
  SetLogLevel(LogLevel::kDebug);
  const auto context = As("reader");
  context->AddMetadata("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
  v1::GetDocumentRequest request;
  request.set_name(NameOf("canary-absent"));
  v1::Document found;
  ASSERT_EQ(ReasonOf(documents_->GetDocument(context.get(), request, &found)),
            "DOCUMENT_NOT_FOUND");
  SetLogLevel(LogLevel::kInfo);
  const std::string log = *ReadFile(dir_.path() + "/log.jsonl");
  const size_t at = log.find("call_refused");
  ASSERT_NE(at, std::string::npos) << log;
  const std::string line = log.substr(at, log.find('\n', at) - at);
  EXPECT_NE(line.find("\"trace_id\":\"4bf92f3577b34da6a3ce929d0e0e4736\""), std::string::npos)
      << line;
  EXPECT_NE(line.find("DOCUMENT_NOT_FOUND"), std::string::npos);
  EXPECT_EQ(log.find("canary"), std::string::npos);
}

}  // namespace
}  // namespace cmkstore
