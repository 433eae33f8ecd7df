// Addresses that tenants name, and what answers there.

#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/fuzz/targets.h"
#include "vault/azure_answers.h"
#include "vault/login_refusal.h"
#include "vault/token_source.h"
#include "vault/vault_uri.h"

namespace cmkstore::fuzz {
namespace {

void VaultUri(absl::string_view input) {
  const vault::VaultAddressPolicy policy;
  if (!vault::CheckVaultUri(policy, input).ok()) return;
  const absl::string_view host = vault::HostOf(input);
  Promise(absl::StrCat("https://", host) == input, "a vault's URI is its host and nothing else");
  bool covered = false;
  for (const vault::VaultDomain& domain : policy.domains) {
    covered |= absl::EndsWith(host, domain.suffix);
  }
  Promise(covered, "a vault is under a known domain");
  Promise(host.find_first_of("/@:?#\\ ") == absl::string_view::npos, "a host is only a host");
}

// First byte: which status; the rest is the body, and the challenge.
void VaultAnswer(absl::string_view input) {
  if (input.empty()) return;
  constexpr int kStatus[] = {200, 400, 401, 403, 404, 408, 409, 410, 429, 500, 503, 302, 0};
  const vault::KeyRef asked{"https://contoso.vault.azure.net", "hub-key", "", ""};
  HttpResponse response;
  response.status = kStatus[static_cast<uint8_t>(input[0]) % std::size(kStatus)];
  response.body = std::string(input.substr(1));
  response.headers = {{"Content-Type", "application/json"}, {"Retry-After", response.body}};
  using Operation = vault::VaultOperation;
  for (const auto operation : {Operation::kDescribe, Operation::kWrap, Operation::kUnwrap}) {
    if (response.status != 200) {
      Promise(!vault::MeaningOf(operation, response).ok(), "a refusal is never taken for consent");
    }
  }
  (void)vault::ParseKeyBundle(response, asked).ok();
  if (const auto result = vault::ParseKeyOperation(response, asked); result.ok()) {
    Promise(absl::StartsWithIgnoreCase(result->version_id,
                                       "https://contoso.vault.azure.net/keys/hub-key/"),
            "an answer is of the key that was asked");
  }
  (void)vault::ChallengeResource(response.body);
  vault::KeyRef key;
  if (vault::SplitVersionId(response.body, asked.vault_uri, key)) {
    Promise(!key.key_name.empty() && !key.version.empty(), "a key id has name and version");
  }
}

void TokenAnswer(absl::string_view input) {
  HttpResponse response;
  response.status = 200;
  response.headers = {{"Content-Type", "application/json"}};
  response.body = std::string(input);
  const absl::Time now = absl::FromUnixSeconds(1'700'000'000);
  if (const auto token = vault::ParseTokenAnswer(response, now); token.ok()) {
    Promise(token->expires > now, "a token lives for some time");
  }
  response.status = 400;
  const std::string refusal = vault::RefusalOf(vault::ParseTokenAnswer(response, now).status());
  Promise(refusal.size() <= 104, "what a refused login leaves in the log is bounded");
}

}  // namespace

std::vector<Target> VaultTargets() {
  return {{"vault_uri", VaultUri}, {"vault_answer", VaultAnswer}, {"token_answer", TokenAnswer}};
}

}  // namespace cmkstore::fuzz
