#pragma once

#include <grpcpp/channel.h>

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "base/clock.h"
#include "service/server.h"
#include "tests/bench/bench_vault.h"
#include "tests/bench/child_process.h"
#include "tests/bench/service_cases.h"
#include "tests/bench/service_client.h"

namespace cmkstore::bench {

// A channel over mTLS with the client certificate in `credentials`.
std::shared_ptr<grpc::Channel> MutualTlsChannel(int port, const std::string& credentials);
std::shared_ptr<grpc::Channel> PlaintextChannel(int port);

// A server under test, in a process of its own or in this one, with its data in one directory.
class BenchService {
 public:
  enum class Transport { kPlaintext, kMutualTls };

  // `program`: cmkstored, or its twin with the null cipher. `vault` is needed at this call only.
  // Errors: INTERNAL.
  static absl::StatusOr<std::unique_ptr<BenchService>> Launch(const std::string& program,
                                                              const std::string& directory,
                                                              Transport transport,
                                                              const BenchVault& vault);
  // The same server, in this process; `clock` must outlive it.
  static absl::StatusOr<std::unique_ptr<BenchService>> InProcess(const std::string& directory,
                                                                 const BenchVault& vault,
                                                                 Clock& clock);

  ServiceClient& client() { return *client_; }
  std::string shards() const { return directory_ + "/data/shards"; }
  pid_t pid() const { return process_ == nullptr ? 0 : process_->pid(); }
  // Of a server in a process of its own.
  absl::Status Restart(const BenchVault& vault);
  void Stop() { process_->Stop(); }

 private:
  BenchService(std::string program, std::string directory, Transport transport)
      : program_(std::move(program)), directory_(std::move(directory)), transport_(transport) {}
  void Connect(std::shared_ptr<grpc::Channel> channel, const std::string& tenant);

  const std::string program_, directory_;
  const Transport transport_;
  std::unique_ptr<ChildProcess> process_;
  std::unique_ptr<service::Server> server_;
  std::unique_ptr<ServiceClient> client_;
};

}  // namespace cmkstore::bench
