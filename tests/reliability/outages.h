#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "tests/reliability/stage.h"
#include "tests/reliability/tcp_relay.h"

namespace cmkstore::reliability {

// One vault for each way of not answering: hang, reset, 500, 503, 429, bad TLS. All fail at once
// and come back at once.
class Outages {
 public:
  struct Vault {
    std::string style;
    std::string name;  // as the local vault's log knows it
    std::string url;
  };
  // What reached one vault since Begin.
  struct Traffic {
    size_t calls = 0;
    size_t most_in_10_s = 0;
  };

  // Adds the vaults to the stage, which must outlive this.
  explicit Outages(Stage& stage);

  const std::vector<Vault>& vaults() const { return vaults_; }
  void Begin();
  // Keeps count of the calls; to be called every second or so.
  void Watch();
  Traffic TrafficOf(const Vault& vault) const;
  void End();

 private:
  Stage& stage_;
  SystemClock clock_;
  std::unique_ptr<dev_vault::DevVault> stranger_;  // of another authority
  std::unique_ptr<TcpRelay> relay_;
  std::vector<Vault> vaults_;
  int64_t next_call_ = 0;
  std::vector<std::vector<absl::Time>> calls_;  // by vault
};

// Hubs spread over the vaults, each with a document; at most 100 keys a vault.
std::vector<std::string> MakeHubs(Stage& stage, const std::string& vault_url,
                                  const std::string& label, size_t hubs);

}  // namespace cmkstore::reliability
