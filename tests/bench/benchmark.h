#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/clock.h"
#include "tests/bench/bench_service.h"
#include "tests/bench/bench_vault.h"
#include "tests/bench/corpus.h"
#include "tests/bench/echo_server.h"
#include "tests/bench/load.h"
#include "tests/bench/raw_rocksdb.h"
#include "tests/bench/report.h"
#include "tests/bench/scale.h"
#include "tests/bench/suite.h"
#include "tests/testing/temp_dir.h"

namespace cmkstore::bench {

struct BenchmarkOptions {
  std::string programs;
  std::string json_file;
  bool quick = false;
  std::string
      beside;  // a program in `programs` to compare with cmkstored in RunAlone; may be empty
};

struct Sizes {
  uint64_t documents;      // of the hub that is read and written
  uint64_t big_documents;  // of the hub that is searched
  ScaleOptions scale;
  Pace paired, single;
};

// A server, and the calls to it that are measured.
struct Target {
  std::string transport;
  std::unique_ptr<BenchService> service;
  std::unique_ptr<ServiceCases> cases;
};

// Calls of an echo server; with `authorization` as metadata, unless it is empty.
class Echoes {
 public:
  Echoes(std::shared_ptr<grpc::Channel> channel, const std::string& authorization)
      : stub_(Echo::NewStub(channel)) {
    const std::string payload = ContentOf(0);
    operation_.prepare = [=](uint64_t, EchoMessage& message, grpc::ClientContext& context) {
      if (!authorization.empty()) context.AddMetadata("authorization", authorization);
      message.set_payload(payload);
    };
    operation_.start = [this](auto* context, const auto& message, auto* queue) {
      return stub_->AsyncCall(context, message, queue);
    };
    operation_.check = [payload](uint64_t, const EchoMessage& answer) {
      return std::string(answer.payload() == payload ? "" : "another payload");
    };
  }
  CallMaker Calls() const { return bench::Calls(operation_); }

 private:
  const std::unique_ptr<Echo::Stub> stub_;
  Operation<EchoMessage, EchoMessage> operation_;
};

// The whole run: servers, floors, cases, report.
class Benchmark {
 public:
  explicit Benchmark(const BenchmarkOptions& options);

  // Measures everything, prints the table and writes the JSON. Errors: INTERNAL with what went
  // wrong; so does every wrong answer.
  absl::Status Run();
  // Runs one case of the plaintext server in turn with the echo, 9 s each at 16 in flight, so that
  // it can be watched, and says which process it is.
  absl::Status RunAlone(const std::string& name);

 private:
  absl::Status AddAlone(const std::string& name, const std::string& program,
                        std::vector<Case>& cases);
  absl::Status SetUp();
  absl::Status SetUpEcho();
  // Makes the hub with its project and documents, and waits until they are indexed.
  absl::Status Fill(ServiceClient& client, const std::string& hub, uint64_t documents);
  absl::StatusOr<Target> Prepare(const std::string& transport,
                                 std::unique_ptr<BenchService> service);
  absl::Status MeasureDisk();
  absl::Status SetUpInProcess();
  absl::Status MeasureReads(const Target& target, Echoes& echo, int in_flight);
  absl::Status MeasureWrites(const Target& target, int in_flight);
  absl::Status MeasureOthers(const Target& target, int in_flight);
  absl::Status MeasureRest(const Target& target);
  absl::Status MeasureBigSearch();
  absl::Status MeasureHalfLoad();
  absl::Status CountVaultCalls();
  void SetRatios();
  Case RocksCase(const std::string& name, int threads);
  absl::Status Measure(const std::vector<Case>& cases, const Pace& pace);
  std::string Program(const std::string& name) const { return options_.programs + "/" + name; }
  absl::StatusOr<std::unique_ptr<BenchService>> Launch(const std::string& program,
                                                       const std::string& name,
                                                       BenchService::Transport transport);

  const BenchmarkOptions options_;
  const Sizes sizes_;
  SystemClock clock_;
  testing::TempDir work_;
  const std::string directory_;
  Report report_;
  std::unique_ptr<BenchVault> vault_;
  std::unique_ptr<ChildProcess> echo_process_;
  std::unique_ptr<EchoServer> echo_in_process_;
  std::vector<std::unique_ptr<Echoes>> echoes_;  // as targets_
  std::unique_ptr<Echoes> echo_with_token_;
  std::vector<Target> targets_;  // plaintext, mtls, and at the end in_process
  Target null_;
  std::unique_ptr<BenchService> big_service_;
  std::unique_ptr<ServiceCases> big_;
  std::unique_ptr<RawRocksDb> rocks_;
  int64_t vault_calls_before_ = 0;
  uint64_t documents_used_ = 0;
};

}  // namespace cmkstore::bench
