#pragma once

#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "service/dev_credentials.h"
#include "service/server.h"

namespace cmkstore::upgrade {

inline constexpr char kTenant[] = "11111111-2222-4333-8444-555555555555";
inline constexpr uint32_t kShards = 2;

// A server on a golden data directory (tests/golden/data/README.md) or on a new one.
class GoldenServer {
 public:
  // Credentials go into `work`, beside the data. `base`: where a vault and backups are.
  GoldenServer(const std::string& data_dir, const std::string& work, Clock& clock,
               const service::ServerOptions& base = {}) {
    const auto minted = service::MintDevCredentials(work, kTenant, clock);
    if (!minted.ok()) {
      status_ = minted.status();
      return;
    }
    credentials_ = minted->directory;
    service::ServerOptions options = base;
    options.data_dir = data_dir;
    options.shards.shards = kShards;
    options.operator_tenant = kTenant;
    options.issuers = {minted->issuer};
    auto started = service::Server::Start(std::move(options), clock);
    status_ = started.status();
    if (started.ok()) server_ = *std::move(started);
  }

  const absl::Status& status() const { return status_; }
  std::shared_ptr<grpc::Channel> channel() { return server_->InProcessChannel(); }
  std::unique_ptr<grpc::ClientContext> As(const std::string& role) const {
    auto context = std::make_unique<grpc::ClientContext>();
    context->AddMetadata("authorization",
                         "Bearer " + *ReadFile(credentials_ + "/" + role + ".token"));
    context->set_deadline(absl::ToChronoTime(absl::Now() + absl::Seconds(25)));
    return context;
  }

 private:
  absl::Status status_;
  std::string credentials_;
  std::unique_ptr<service::Server> server_;
};

}  // namespace cmkstore::upgrade
