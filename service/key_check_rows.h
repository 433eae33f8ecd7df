#pragma once

#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "cmkstore/v1/key_service.pb.h"
#include "service/key_check_remedies.h"
#include "vault/key_vault.h"

namespace cmkstore::service {

// The rows of a key's check list: names, what is needed of each, and what to run to mend it. The
// words are for the tenant's key administrator.
class KeyCheckRows {
 public:
  // `client_id`: as KeyCheckRemedies'.
  KeyCheckRows(const vault::KeyRef& key, std::string client_id, v1::CheckKeyResponse& response)
      : remedies_(key, std::move(client_id)), response_(response) {}

  void Pass(absl::string_view check, std::string found);
  void Warn(absl::string_view check, std::string found);
  // What is advised depends on what the vault refused with: see CauseOf.
  void Fail(absl::string_view check, std::string found, absl::string_view cause = "");
  // The same for what a call to the vault came to.
  void Fail(absl::string_view check, const absl::Status& refusal);
  void Skip(absl::string_view check, absl::string_view why = "a check before it failed");

  // Why it is not known that the tenant may name this vault, which was called without a token.
  void AddNoDirectory(const absl::Status& answer);
  // Connection, token and read permission, as the answer to a first call with a token shows them,
  // to a vault that has said whose it is.
  // False when nothing more can be tried.
  bool AddFirstCall(const absl::Status& answer, const std::string& version_id);
  // What the key says of itself.
  void AddDescription(const vault::KeyDescription& key, absl::Time now);

 private:
  v1::KeyCheck& Add(absl::string_view check, v1::KeyCheck::Result result, std::string found);
  void AddLoginFailure(const absl::Status& answer);
  void AddNoWord(const absl::Status& answer, bool said_whose_it_is);

  const KeyCheckRemedies remedies_;
  v1::CheckKeyResponse& response_;
};

}  // namespace cmkstore::service
