#include "tests/bench/benchmark.h"

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/file.h"
#include "base/status_macros.h"

namespace cmkstore::bench {
namespace {

Sizes SizesOf(bool quick) {
  if (quick) {
    return {4'000, 10'000, {50, 20}, {3, absl::Milliseconds(150)}, {1, absl::Milliseconds(150)}};
  }
  return {
      20'000, 100'000, {1'000, 100}, {9, absl::Milliseconds(600)}, {3, absl::Milliseconds(600)}};
}

constexpr char kHub[] = "bench", kBigHub[] = "big";

}  // namespace

Benchmark::Benchmark(const BenchmarkOptions& options)
    : options_(options), sizes_(SizesOf(options.quick)), directory_(work_.path()) {}

absl::StatusOr<std::unique_ptr<BenchService>> Benchmark::Launch(const std::string& program,
                                                                const std::string& name,
                                                                BenchService::Transport transport) {
  return BenchService::Launch(Program(program), absl::StrCat(directory_, "/", name), transport,
                              *vault_);
}

absl::Status Benchmark::Fill(ServiceClient& client, const std::string& hub, uint64_t documents) {
  CMK_RETURN_IF_ERROR(client.CreateHub(hub, vault_->url()));
  CMK_RETURN_IF_ERROR(client.Fill(hub, 0, documents));
  return client.WaitUntilIndexed(hub);
}

absl::StatusOr<Target> Benchmark::Prepare(const std::string& transport,
                                          std::unique_ptr<BenchService> service) {
  CMK_RETURN_IF_ERROR(Fill(service->client(), kHub, sizes_.documents));
  Target target{transport, std::move(service), nullptr};
  target.cases = std::make_unique<ServiceCases>(target.service->client(), kHub, sizes_.documents);
  return target;
}

absl::Status Benchmark::SetUpEcho() {
  const std::string directory = directory_ + "/echo";
  std::filesystem::create_directories(directory);
  CMK_ASSIGN_OR_RETURN(
      echo_process_, ChildProcess::Start({Program("cmkbench_echo"), directory}, directory + "/log",
                                         directory + "/ports"));
  const std::vector<std::string> ports =
      absl::StrSplit(ReadFile(directory + "/ports").value_or(" "), ' ');
  echoes_.push_back(std::make_unique<Echoes>(PlaintextChannel(std::stoi(ports[0])), ""));
  echoes_.push_back(
      std::make_unique<Echoes>(MutualTlsChannel(std::stoi(ports[1]), directory + "/dev"), ""));
  echo_with_token_ = std::make_unique<Echoes>(
      PlaintextChannel(std::stoi(ports[0])),
      "Bearer " + ReadFile(directory + "/dev/contributor.token").value_or(""));
  return absl::OkStatus();
}

absl::Status Benchmark::SetUp() {
  using Transport = BenchService::Transport;
  CMK_ASSIGN_OR_RETURN(vault_, BenchVault::Start(Program("cmkdevvault"), directory_ + "/vault"));
  CMK_RETURN_IF_ERROR(SetUpEcho());
  CMK_ASSIGN_OR_RETURN(rocks_, RawRocksDb::Open(directory_ + "/rocks", sizes_.documents));
  CMK_ASSIGN_OR_RETURN(auto plain, Launch("cmkstored", "plain", Transport::kPlaintext));
  CMK_ASSIGN_OR_RETURN(auto tls, Launch("cmkstored", "tls", Transport::kMutualTls));
  CMK_ASSIGN_OR_RETURN(auto null, Launch("cmkbench_null", "null", Transport::kPlaintext));
  CMK_ASSIGN_OR_RETURN(Target plain_target, Prepare("plaintext", std::move(plain)));
  targets_.push_back(std::move(plain_target));
  CMK_ASSIGN_OR_RETURN(Target tls_target, Prepare("mtls", std::move(tls)));
  targets_.push_back(std::move(tls_target));
  CMK_ASSIGN_OR_RETURN(null_, Prepare("plaintext", std::move(null)));
  // A server of its own, so that those that are compared with each other hold the same.
  CMK_ASSIGN_OR_RETURN(big_service_, Launch("cmkstored", "big", Transport::kPlaintext));
  CMK_RETURN_IF_ERROR(Fill(big_service_->client(), kBigHub, sizes_.big_documents));
  CMK_RETURN_IF_ERROR(MeasureDisk());
  big_ = std::make_unique<ServiceCases>(big_service_->client(), kBigHub, sizes_.big_documents);
  CMK_ASSIGN_OR_RETURN(vault_calls_before_, vault_->Calls());
  return absl::OkStatus();
}

// Last of all: the threads of a server that runs here take part in polling this process's sockets,
// which slows down every call that leaves it.
absl::Status Benchmark::SetUpInProcess() {
  CMK_ASSIGN_OR_RETURN(echo_in_process_, EchoServer::Start({}));
  echoes_.push_back(std::make_unique<Echoes>(echo_in_process_->InProcessChannel(), ""));
  CMK_ASSIGN_OR_RETURN(auto here, BenchService::InProcess(directory_ + "/here", *vault_, clock_));
  CMK_ASSIGN_OR_RETURN(Target target, Prepare("in_process", std::move(here)));
  targets_.push_back(std::move(target));
  return absl::OkStatus();
}

// While the server's data is nothing but the big hub.
absl::Status Benchmark::MeasureDisk() {
  BenchService& service = *big_service_;
  service.Stop();
  CMK_ASSIGN_OR_RETURN(const CompactedBytes bytes, MeasureCompacted(service.shards()));
  CMK_RETURN_IF_ERROR(service.Restart(*vault_));
  uint64_t given = 0;
  const std::string project = service.client().ProjectName(kBigHub);
  for (uint64_t n = 0; n < sizes_.big_documents; ++n) given += CallerBytes(DocumentOf(project, n));
  const auto documents = static_cast<double>(sizes_.big_documents);
  const auto per_document = [&](uint64_t sum) { return static_cast<double>(sum) / documents; };
  report_.Set("bytes_per_document_overhead", per_document(bytes.files) - per_document(given));
  report_.Set("bytes_per_document", {{"given", per_document(given)},
                                     {"files", per_document(bytes.files)},
                                     {"document_keys", per_document(bytes.document_keys)},
                                     {"envelopes", per_document(bytes.envelopes)},
                                     {"feed", per_document(bytes.feed)},
                                     {"other", per_document(bytes.other)}});
  const uint64_t began = NowNanos();
  CMK_RETURN_IF_ERROR(service.client().ReadOne(kBigHub, 1));
  report_.Set("cold_read_with_unwrap_ms", static_cast<double>(NowNanos() - began) / 1e6);
  return absl::OkStatus();
}

Case Benchmark::RocksCase(const std::string& name, int threads) {
  Case made;
  made.name = name;
  made.transport = "none";
  made.in_flight = threads;
  made.run = [this, name, threads](absl::Duration duration) {
    return name == "rocksdb_write" ? rocks_->Write(threads, duration)
                                   : rocks_->Read(threads, duration);
  };
  return made;
}

absl::Status Benchmark::Measure(const std::vector<Case>& cases, const Pace& pace) {
  CMK_ASSIGN_OR_RETURN(std::vector<Measured> measured, RunInterleaved(cases, pace));
  for (const Measured& one : measured) {
    // Only of servers that have a vault to ask.
    if (one.what.transport == "none" || one.what.name.starts_with("echo")) continue;
    if (one.what.name.ends_with("_null")) continue;
    for (const CaseResult& round : one.rounds) {
      documents_used_ += round.operations * one.what.documents_per_operation;
    }
  }
  report_.Add(std::move(measured));
  return absl::OkStatus();
}

absl::Status Benchmark::MeasureReads(const Target& target, Echoes& echo, int in_flight) {
  const bool here = target.transport == "in_process";
  std::vector<Case> cases = {
      CallCase("echo", target.transport, in_flight, echo.Calls(), here ? 0 : echo_process_->pid()),
      CallCase("read", target.transport, in_flight, target.cases->Read(), target.service->pid())};
  if (target.transport == "plaintext") {
    cases.push_back(
        CallCase("read_null", "plaintext", in_flight, null_.cases->Read(), null_.service->pid()));
    cases.push_back(RocksCase("rocksdb_read", in_flight));
  }
  return Measure(cases, sizes_.paired);
}

absl::Status Benchmark::MeasureWrites(const Target& target, int in_flight) {
  const auto writing = [&](const Target& of, const std::string& name, const CallMaker& calls,
                           uint64_t documents) {
    Case one = CallCase(name, of.transport, in_flight, calls, of.service->pid());
    one.documents_per_operation = documents;
    one.settle = [&of] { return of.cases->Settle(); };
    return one;
  };
  const ServiceCases& cases = *target.cases;
  std::vector<Case> single = {writing(target, "write", cases.Write(), 1)};
  if (target.transport == "plaintext") {
    single.push_back(RocksCase("rocksdb_write", in_flight));
    single.push_back(writing(null_, "write_null", null_.cases->Write(), 1));
  }
  CMK_RETURN_IF_ERROR(Measure(single, sizes_.paired));
  return Measure({writing(target, "update", cases.Update(), 1),
                  writing(target, "mixed_95_5", cases.Mixed95(), 1),
                  writing(target, "batch_write_100", cases.BatchWrite(), kDocumentsPerBatch)},
                 sizes_.single);
}

absl::Status Benchmark::MeasureOthers(const Target& target, int in_flight) {
  const pid_t pid = target.service->pid();
  Case get = CallCase("batch_get_100", target.transport, in_flight, target.cases->BatchGet(), pid);
  get.documents_per_operation = kDocumentsPerBatch;
  Case list = CallCase("list_50", target.transport, in_flight, target.cases->List(), pid);
  list.documents_per_operation = 50;
  return Measure(
      {get, list, CallCase("search", target.transport, in_flight, target.cases->Search(), pid)},
      sizes_.single);
}

absl::Status Benchmark::MeasureBigSearch() {
  const pid_t pid = big_service_->pid();
  Pace pace = sizes_.single;
  pace.duration *= 4;
  for (const int in_flight : kInFlight) {
    CMK_RETURN_IF_ERROR(
        Measure({CallCase("search_big", "plaintext", in_flight, big_->Search(), pid)}, pace));
  }
  const CaseResult one = report_.Find("search_big", "plaintext", 1).Median();
  report_.Set("search_documents", sizes_.big_documents);
  report_.Set("search_p50_ms", one.p50_ms);
  report_.Set("search_p99_ms", one.p99_ms);
  return absl::OkStatus();
}

absl::Status Benchmark::MeasureRest(const Target& target) {
  for (const int in_flight : kInFlight) CMK_RETURN_IF_ERROR(MeasureOthers(target, in_flight));
  if (target.transport == "plaintext") CMK_RETURN_IF_ERROR(MeasureBigSearch());
  for (const int in_flight : kInFlight) CMK_RETURN_IF_ERROR(MeasureWrites(target, in_flight));
  return absl::OkStatus();
}

// Reads as they come, at half of what the server can do: what a caller sees of a server in health.
absl::Status Benchmark::MeasureHalfLoad() {
  const Target& plain = targets_[0];
  Case half = CallCase("read_half_load", "plaintext", 64, plain.cases->Read(), 0);
  const double rate = report_.Find("read", "plaintext", 16).Median().per_second / 2;
  half.run = [&plain, rate](absl::Duration duration) -> absl::StatusOr<CaseResult> {
    uint64_t next = 0;
    return LoadRun(plain.cases->Read(), {64, duration, rate}, next).Run();
  };
  return Measure({half}, sizes_.paired);
}

absl::Status Benchmark::CountVaultCalls() {
  CMK_ASSIGN_OR_RETURN(const int64_t calls, vault_->Calls());
  report_.Set("vault_calls", calls - vault_calls_before_);
  report_.Set("vault_calls_per_million_documents",
              static_cast<double>(calls - vault_calls_before_) * 1e6 /
                  static_cast<double>(documents_used_));
  return absl::OkStatus();
}

void Benchmark::SetRatios() {
  report_.SetRatios("read_vs_echo", "read", "plaintext", "echo", "plaintext");
  report_.SetRatios("read_vs_echo_mtls", "read", "mtls", "echo", "mtls");
  report_.SetRatios("read_vs_echo_in_process", "read", "in_process", "echo", "in_process");
  report_.SetRatios("write_vs_rocksdb", "write", "plaintext", "rocksdb_write", "none");
  report_.SetRatios("sealed_vs_null_read", "read", "plaintext", "read_null", "plaintext");
  report_.SetRatios("sealed_vs_null_write", "write", "plaintext", "write_null", "plaintext");
  report_.SetRatios("batch_write_vs_write", "batch_write_100", "plaintext", "write", "plaintext");
  report_.SetRatios("batch_get_vs_read", "batch_get_100", "plaintext", "read", "plaintext");
}

absl::Status Benchmark::RunAlone(const std::string& name) {
  CMK_ASSIGN_OR_RETURN(vault_, BenchVault::Start(Program("cmkdevvault"), directory_ + "/vault"));
  CMK_RETURN_IF_ERROR(SetUpEcho());
  std::vector<Case> cases = {
      CallCase("echo", "plaintext", 16, echoes_[0]->Calls(), echo_process_->pid()),
      CallCase("echo_with_token", "plaintext", 16, echo_with_token_->Calls(),
               echo_process_->pid())};
  CMK_RETURN_IF_ERROR(AddAlone(name, "cmkstored", cases));
  if (!options_.beside.empty()) CMK_RETURN_IF_ERROR(AddAlone(name, options_.beside, cases));
  return Measure(cases, {9, absl::Seconds(1)});
}

absl::Status Benchmark::AddAlone(const std::string& name, const std::string& program,
                                 std::vector<Case>& cases) {
  CMK_ASSIGN_OR_RETURN(auto service, Launch(program, absl::StrCat("server", targets_.size()),
                                            BenchService::Transport::kPlaintext));
  CMK_ASSIGN_OR_RETURN(Target target, Prepare("plaintext", std::move(service)));
  targets_.push_back(std::move(target));
  const ServiceCases& made = *targets_.back().cases;
  const std::map<std::string, CallMaker> known = {
      {"read", made.Read()},     {"write", made.Write()},
      {"update", made.Update()}, {"batch_write_100", made.BatchWrite()},
      {"search", made.Search()}, {"batch_get_100", made.BatchGet()},
      {"list_50", made.List()},  {"mixed_95_5", made.Mixed95()}};
  const auto found = known.find(name);
  if (found == known.end()) return absl::InternalError("no such case: " + name);
  const pid_t pid = targets_.back().service->pid();
  std::fprintf(stderr, "server: process %d, %s\n", pid, program.c_str());
  cases.push_back(CallCase(name, "plaintext", 16, found->second, pid));
  return absl::OkStatus();
}

absl::Status Benchmark::Run() {
  CMK_RETURN_IF_ERROR(SetUp());
  // Reads first: writes grow the hubs.
  for (size_t i = 0; i < targets_.size(); ++i) {
    for (const int in_flight : kInFlight) {
      CMK_RETURN_IF_ERROR(MeasureReads(targets_[i], *echoes_[i], in_flight));
    }
  }
  CMK_RETURN_IF_ERROR(MeasureHalfLoad());
  for (const Target& target : targets_) CMK_RETURN_IF_ERROR(MeasureRest(target));
  CMK_RETURN_IF_ERROR(CountVaultCalls());  // before another server makes its hub
  CMK_RETURN_IF_ERROR(SetUpInProcess());
  for (const int in_flight : kInFlight) {
    CMK_RETURN_IF_ERROR(MeasureReads(targets_.back(), *echoes_.back(), in_flight));
  }
  CMK_RETURN_IF_ERROR(MeasureRest(targets_.back()));
  SetRatios();
  for (Target& target : targets_) {
    if (target.service->pid() != 0) target.service->Stop();
  }
  null_.service->Stop();
  big_service_->Stop();
  CMK_ASSIGN_OR_RETURN(
      const ScaleResult scale,
      MeasureScale(Program("cmkstored"), directory_ + "/scale", sizes_.scale, *vault_));
  report_.Set("scale", {{"hubs", sizes_.scale.hubs},
                        {"documents",
                         static_cast<uint64_t>(sizes_.scale.hubs) * sizes_.scale.documents_per_hub},
                        {"create_hub_ms", scale.create_hub_ms},
                        {"resident_mib", scale.resident_mib},
                        {"resident_peak_mib", scale.resident_peak_mib},
                        {"cold_search_p50_ms", scale.cold_search_p50_ms},
                        {"cold_search_p99_ms", scale.cold_search_p99_ms},
                        {"start_without_vault_s", scale.start_without_vault_s}});
  std::printf("%s", report_.ToTable().c_str());
  if (!options_.json_file.empty()) {
    std::ofstream file(options_.json_file);
    file << report_.ToJson().dump(2) << "\n";
    if (!file.flush()) return absl::InternalError("cannot write " + options_.json_file);
  }
  return absl::OkStatus();
}

}  // namespace cmkstore::bench
