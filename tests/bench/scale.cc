#include "tests/bench/scale.h"

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "base/status_macros.h"
#include "tests/bench/latencies.h"
#include "tests/bench/load.h"

namespace cmkstore::bench {
namespace {

constexpr int kThreads = 8;
constexpr int kMaxColdSearches = 200;

std::string HubOf(int n) { return absl::StrCat("h", n); }

double Milliseconds(uint64_t nanos) { return static_cast<double>(nanos) / 1e6; }

// Runs `one(0 … count-1)` on a few threads; gives how long each took, or the first error.
template <typename One>
absl::StatusOr<CaseResult> ForEach(int count, int threads, One one) {
  std::atomic<int> next{0};
  absl::Mutex mutex;
  absl::Status failure;
  Latencies latencies;
  const uint64_t began = NowNanos();
  std::vector<std::thread> running;
  for (int i = 0; i < threads; ++i) {
    running.emplace_back([&] {
      for (int n = next++; n < count; n = next++) {
        const uint64_t started = NowNanos();
        absl::Status status = one(n);
        absl::MutexLock lock(&mutex);
        latencies.Add(NowNanos() - started);
        if (!status.ok() && failure.ok()) failure = status;
        if (!failure.ok()) return;
      }
    });
  }
  for (std::thread& thread : running) thread.join();
  CMK_RETURN_IF_ERROR(failure);
  return latencies.Summarize(Milliseconds(NowNanos() - began) / 1e3);
}

}  // namespace

absl::StatusOr<ScaleResult> MeasureScale(const std::string& program, const std::string& directory,
                                         const ScaleOptions& options, BenchVault& vault) {
  ScaleResult result;
  CMK_ASSIGN_OR_RETURN(
      auto service,
      BenchService::Launch(program, directory, BenchService::Transport::kPlaintext, vault));
  const auto use = [&](int n, const auto& what) { return what(service->client(), HubOf(n), n); };
  CMK_ASSIGN_OR_RETURN(const CaseResult created, ForEach(options.hubs, kThreads, [&](int n) {
                         return service->client().CreateHub(HubOf(n), vault.url());
                       }));
  result.create_hub_ms = created.p50_ms;
  const auto fill = [&](ServiceClient& client, const std::string& hub, int) {
    return client.Fill(hub, 0, options.documents_per_hub);
  };
  const auto wait = [](ServiceClient& client, const std::string& hub, int) {
    return client.WaitUntilIndexed(hub);
  };
  const auto read = [&](ServiceClient& client, const std::string& hub, int n) {
    return client.ReadOne(hub, static_cast<uint64_t>(n) % options.documents_per_hub);
  };
  const auto search = [&](ServiceClient& client, const std::string& hub, int n) {
    return client.SearchOne(hub, static_cast<uint64_t>(n) % options.documents_per_hub);
  };
  const auto all = [&](const auto& what) {
    return ForEach(options.hubs, kThreads, [&](int n) { return use(n, what); }).status();
  };
  CMK_RETURN_IF_ERROR(all(fill));
  CMK_RETURN_IF_ERROR(all(wait));
  CMK_RETURN_IF_ERROR(all(read));
  CMK_RETURN_IF_ERROR(all(search));
  result.resident_mib = static_cast<double>(MemoryKib(service->pid(), "VmRSS")) / 1024;
  result.resident_peak_mib = static_cast<double>(MemoryKib(service->pid(), "VmHWM")) / 1024;

  CMK_RETURN_IF_ERROR(service->Restart(vault));
  CMK_RETURN_IF_ERROR(all(read));
  CMK_ASSIGN_OR_RETURN(const CaseResult cold, ForEach(std::min(options.hubs, kMaxColdSearches), 1,
                                                      [&](int n) { return use(n, search); }));
  result.cold_search_p50_ms = cold.p50_ms;
  result.cold_search_p99_ms = cold.p99_ms;

  service->Stop();
  vault.Stop();
  const uint64_t began = NowNanos();
  CMK_RETURN_IF_ERROR(service->Restart(vault));
  CMK_RETURN_IF_ERROR(service->client().FindHub(HubOf(0)));
  result.start_without_vault_s = Milliseconds(NowNanos() - began) / 1e3;
  return result;
}

}  // namespace cmkstore::bench
