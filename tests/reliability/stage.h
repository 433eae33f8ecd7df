#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "cmkstore/v1/document_service.grpc.pb.h"
#include "cmkstore/v1/hub_service.pb.h"
#include "service/server.h"
#include "tests/e2e/vault_owner.h"
#include "tests/testing/temp_dir.h"
#include "vault/dev_vault/dev_vault.h"

namespace cmkstore::reliability {

// The real server in process, with the real settings of its key cache, on a local vault over HTTPS.
// Callers log in to the same directory that the server's own identities are of. What cannot be set
// up ends the program with exit code 2.
//
// Vaults and identities are added before StartServer. The calls after it are thread-safe.
class Stage {
 public:
  explicit Stage(std::string program);
  ~Stage();

  const dev_vault::DevVaultEndpoints& endpoints() const { return vault_->endpoints(); }
  VaultOwner& owner() { return *owner_; }
  const std::string& directory() const { return dir_.path(); }

  // https://LABEL.vault.localhost:PORT, a vault of its own; `port` 0: the local vault's.
  std::string AddVault(const std::string& label, int port = 0);
  // `kind`'s credential of the local vault's first client. The default identity logs in by secret.
  void AddIdentity(const std::string& name, vault::IdentityOptions::Kind kind);
  // An identity that logs in by the secret of a client of its own, which no vault has let in yet.
  void AddClient(const std::string& name, const std::string& client_id);
  // How many times faster than its defaults the key cache asks.
  void SetPace(double pace) { pace_ = pace; }

  // Serves on the same data directory as before, without any key in memory.
  void StartServer();
  void StopServer();

  void MakeKey(const std::string& vault_url, const std::string& name);
  // A hub with one project and one document.
  void MakeHub(const std::string& id, const std::string& vault_url, const std::string& key,
               const std::string& identity = "");

  std::string HubName(const std::string& id) const;
  // For other calls than those below.
  const std::shared_ptr<grpc::Channel>& channel() const { return channel_; }
  std::unique_ptr<grpc::ClientContext> NewCall(absl::Duration patience = absl::Seconds(25));

  // Reads the hub's document; DATA_LOSS if it is not what MakeHub wrote.
  grpc::Status Read(const std::string& id, absl::Duration patience = absl::Seconds(25));
  // How long until the hub's document can be read, or no more; looks for two minutes.
  absl::Duration Until(const std::string& id, bool readable);
  // All at once; by the order of `ids`.
  std::vector<grpc::Status> ReadAll(const std::vector<std::string>& ids, absl::Duration patience);
  // Writes another document of the hub.
  grpc::Status Write(const std::string& id);
  // Whether the hub itself can be looked at, and what it is; and whether the server says that it
  // serves.
  grpc::Status Look(const std::string& id, v1::Hub* hub = nullptr);
  bool IsServing();
  // The sum of a metric over the series whose text contains `label`.
  double Metric(const std::string& name, const std::string& label = "");

 private:
  [[noreturn]] void Fail(const std::string& why) const;
  void Require(const grpc::Status& status, const std::string& what) const;
  std::string CallersToken();
  service::ServerOptions Options() const;

  const std::string program_;
  testing::TempDir dir_;
  SystemClock clock_;
  std::unique_ptr<dev_vault::DevVault> vault_;
  std::unique_ptr<VaultOwner> owner_;
  std::vector<std::string> hosts_;
  std::vector<std::pair<std::string, vault::IdentityOptions>> identities_;
  double pace_ = 1;
  std::unique_ptr<service::Server> server_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::DocumentService::Stub> documents_;
  absl::Mutex mutex_;
  std::string token_ ABSL_GUARDED_BY(mutex_);
  absl::Time token_until_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
};

// ErrorInfo's reason; for OK "OK", without one the code's name.
std::string ReasonOf(const grpc::Status& status);

// Runs work(0) … work(count - 1) on that many threads.
void InParallel(size_t threads, size_t count, const std::function<void(size_t)>& work);

}  // namespace cmkstore::reliability
