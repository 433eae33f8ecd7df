// Texts that callers and their token issuers send.

#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/errors.h"
#include "crypto/jwt.h"
#include "service/authenticator.h"
#include "service/jwks_cache.h"
#include "service/page_token.h"
#include "service/resource_name.h"
#include "tests/fuzz/targets.h"
#include "tests/testing/virtual_clock.h"

namespace cmkstore::fuzz {
namespace {

using namespace service;  // NOLINT(google-build-using-namespace): the targets speak of nothing else

// Key sets are given, so nothing is ever fetched.
class NoTransport final : public HttpTransport {
 public:
  absl::StatusOr<HttpResponse> Send(const HttpRequest&, absl::Time) override {
    return VaultUnreachable("dns", absl::ZeroDuration());
  }
};

struct Issuer {
  NoTransport transport;
  testing::VirtualClock clock;
  crypto::RsaPrivateKey key = *crypto::RsaPrivateKey::Generate(2048);
  std::unique_ptr<Authenticator> authenticator = *Authenticator::Create(
      {{"https://issuer", "api://cmkstore", crypto::JwksOf(key, "k"), ""}}, transport, clock);
};

// A text that begins with a brace is signed as claims, so that what is behind the signature is
// reached too.
void Token(absl::string_view input) {
  static Issuer& issuer = *new Issuer;
  const bool claims = absl::StartsWith(input, "{");
  const std::string token = claims ? crypto::SignJwt(issuer.key, "k", input) : std::string(input);
  const auto caller = issuer.authenticator->Authenticate(absl::StrCat("Bearer ", token));
  Promise(claims || !caller.ok(), "nobody but the issuer makes a token");
  if (!caller.ok()) return;
  Promise(!(*caller)->tenant.empty() && !(*caller)->subject.empty(),
          "a caller has tenant and subject");
  Promise((*caller)->expires > issuer.clock.WallNow() - absl::Seconds(61),
          "a caller's token is valid now");
}

void KeySet(absl::string_view input) {
  const auto keys = ParseJwks(input);
  Promise(!keys.ok() || (!keys->empty() && keys->size() <= kMaxJwksKeys), "a key set is bounded");
}

void PageToken(absl::string_view input) {
  static const PageTokens& tokens = *new PageTokens(std::string(32, 'k'));
  Caller caller;
  caller.tenant = "t";
  caller.subject = "s";
  Promise(input.empty() || !tokens.Decode(caller, "question", input).ok(),
          "nobody else makes a token");
  const auto cursor = tokens.Decode(caller, input, tokens.Encode(caller, input, input));
  Promise(input.empty() || (cursor.ok() && *cursor == input), "a cursor comes back as it was");
}

void ResourceNames(absl::string_view input) {
  if (const auto name = HubName::Parse("name", input); name.ok()) {
    Promise(name->ToString() == input, "a hub's name has one text");
  }
  if (const auto name = ProjectName::Parse("name", input); name.ok()) {
    Promise(name->ToString() == input, "a project's name has one text");
  }
  if (const auto name = DocumentName::Parse("name", input); name.ok()) {
    Promise(name->ToString() == input, "a document's name has one text");
  }
  if (const auto name = OperationName::Parse("name", input); name.ok()) {
    Promise(name->ToString() == input, "an operation's name has one text");
  }
  (void)TenantName::Parse("name", input).ok();
  (void)CollectionName::Parse("name", input, true).ok();
  (void)HubName::ParseSingleton("name", input, "key").ok();
}

}  // namespace

std::vector<Target> CallerTargets() {
  return {{"token", Token},
          {"key_set", KeySet},
          {"page_token", PageToken},
          {"resource_name", ResourceNames}};
}

}  // namespace cmkstore::fuzz
