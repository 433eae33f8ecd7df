#include "cli/failure_advice.h"

#include "absl/strings/match.h"

namespace cmkstore::cli {
namespace {

struct Advice {
  absl::string_view reason;
  absl::string_view text;
};

constexpr Advice kByReason[] = {
    {"CUSTOMER_KEY_REVOKED",
     "see what the vault refuses with `cmkctl key check HUB`; the content is back by itself once "
     "the key works again"},
    {"CUSTOMER_KEY_UNFIT",
     "mend what is listed, then try again; `cmkctl key check --vault-key URL` lists every check of "
     "a key"},
    {"HUB_LOCKED", "a key administrator takes the lock back with `cmkctl key unlock HUB`"},
    {"VAULT_CHANGE_REFUSED", "name a key of the hub's own vault"},
    {"ETAG_MISMATCH", "read it again (`get --json` shows the new etag) and repeat"},
    {"HUB_NOT_FOUND", "`cmkctl hub list` shows the hubs there are"},
    {"PROJECT_NOT_FOUND",
     "`cmkctl project list HUB` shows the projects there are, `cmkctl project create "
     "HUB/PROJECT` makes one"},
    {"DOCUMENT_NOT_FOUND", "`cmkctl ls HUB/PROJECT` shows the documents there are"},
    {"OPERATION_NOT_FOUND", "`cmkctl operations list HUB` shows the operations there are"},
    {"HUB_ALREADY_EXISTS",
     "`cmkctl hub get HUB` shows it; a deleted one keeps its name until it "
     "is purged (`cmkctl hub undelete HUB`)"},
    {"TOKEN_INVALID", "put a token for this server into the file of --token-file"},
    {"TOKEN_EXPIRED", "put a new token into the file of --token-file"},
    {"ACCESS_DENIED", "`cmkctl status` shows the tenant and the roles of your token"},
    {"NETWORK_DENIED", "an owner can allow your network: `cmkctl hub update HUB --allow-ip CIDR`"},
    {"DOCUMENT_CORRUPT",
     "nothing in the request will help; the operator goes by CmkstoreDataDamaged of "
     "docs/operations.md"},
    {"STORE_CORRUPT",
     "nothing in the request will help; the operator goes by CmkstoreDataDamaged of "
     "docs/operations.md"},
    {"FORMAT_TOO_NEW", "the operator must upgrade this server"},
};

}  // namespace

bool IsRequestTooLarge(const grpc::Status& status, absl::string_view reason) {
  return status.error_code() == grpc::StatusCode::RESOURCE_EXHAUSTED && reason.empty() &&
         absl::StrContains(status.error_message(), "larger than max");
}

std::string AdviceFor(const grpc::Status& status, absl::string_view reason) {
  if (reason == "STATE_INVALID" && absl::StrContains(status.error_message(), "set force")) {
    return "`cmkctl project delete HUB/PROJECT --force` deletes the project with all of them";
  }
  for (const Advice& advice : kByReason) {
    if (advice.reason == reason) return std::string(advice.text);
  }
  if (!reason.empty()) return "";
  // Not from the service: gRPC itself.
  if (IsRequestTooLarge(status, reason)) {
    return "the request is larger than the server takes at all; a document's content may be 1 MiB, "
           "a batch of writes 8 MiB";
  }
  switch (status.error_code()) {
    case grpc::StatusCode::UNAVAILABLE:
      return "is the server running, and are --endpoint, --ca, --cert and --key right for it? "
             "`cmkctl status` tries it";
    case grpc::StatusCode::DEADLINE_EXCEEDED:
      return "no answer in time; try again, or give it longer with --timeout";
    case grpc::StatusCode::UNIMPLEMENTED: return "this server is older than this cmkctl";
    case grpc::StatusCode::UNAUTHENTICATED: return "give a token: --token-file FILE";
    default: return "";
  }
}

std::string AdviceForQuota(absl::string_view quota) {
  if (quota != "documents" && quota != "stored_bytes") return "";
  return "`cmkctl usage` shows what each hub holds, `cmkctl rm` and `cmkctl project delete` make "
         "room; a deleted hub's documents count until it is purged";
}

}  // namespace cmkstore::cli
