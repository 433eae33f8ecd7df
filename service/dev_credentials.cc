#include "service/dev_credentials.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/errors.h"
#include "base/file.h"
#include "base/private_directory.h"
#include "base/status_macros.h"
#include "crypto/jwt.h"
#include "crypto/x509_mint.h"

namespace cmkstore::service {
namespace {

constexpr char kIssuer[] = "https://cmkstore.dev/issuer";
constexpr char kAudience[] = "api://cmkstore";
constexpr char kKeyId[] = "dev";
constexpr absl::Duration kLifetime = absl::Hours(12);

// A damaged one is replaced: it protects nothing but development.
absl::StatusOr<crypto::RsaPrivateKey> KeptKey(const std::string& path) {
  if (const auto kept = ReadFile(path); kept.has_value()) {
    auto key = crypto::RsaPrivateKey::FromPem(*kept);
    if (key.ok()) return key;
  }
  return crypto::RsaPrivateKey::Generate(2048);
}

}  // namespace

absl::StatusOr<DevCredentials> MintDevCredentials(const std::string& data_dir,
                                                  const std::string& tenant, Clock& clock) {
  DevCredentials credentials;
  credentials.directory = data_dir + "/dev";
  CMK_RETURN_IF_ERROR(MakePrivateDirectory(data_dir));
  CMK_RETURN_IF_ERROR(MakePrivateDirectory(credentials.directory));
  const auto kept = [&credentials](const char* name) {
    return KeptKey(credentials.directory + "/" + name);
  };
  CMK_ASSIGN_OR_RETURN(const auto ca_key, kept("ca.key"));
  CMK_ASSIGN_OR_RETURN(const auto server_key, kept("server.key"));
  CMK_ASSIGN_OR_RETURN(const auto client_key, kept("client.key"));
  CMK_ASSIGN_OR_RETURN(const auto token_key, kept("token.key"));
  const std::string ca = crypto::MintCa(ca_key, "cmkstore development CA");
  CMK_ASSIGN_OR_RETURN(const std::string server,
                       crypto::MintCertificate(ca_key, ca, server_key, "localhost",
                                               {"DNS:localhost", "IP:127.0.0.1", "IP:::1"}));
  CMK_ASSIGN_OR_RETURN(
      const std::string client,
      crypto::MintCertificate(ca_key, ca, client_key, "client", {"DNS:client.localhost"}));
  std::vector<std::pair<std::string, std::string>> files = {
      {"ca.key", ca_key.ToPem()},         {"ca.pem", ca},
      {"server.key", server_key.ToPem()}, {"server.pem", server},
      {"client.key", client_key.ToPem()}, {"client.pem", client},
      {"token.key", token_key.ToPem()}};
  const int64_t now = absl::ToUnixSeconds(clock.WallNow());
  for (const char* role : {"owner", "contributor", "reader", "key_admin", "auditor", "operator"}) {
    const nlohmann::json claims = {{"iss", kIssuer},
                                   {"aud", kAudience},
                                   {"tid", tenant},
                                   {"oid", absl::StrCat("dev-", role)},
                                   {"roles", {absl::StrCat("cmkstore.", role)}},
                                   {"iat", now},
                                   {"nbf", now},
                                   {"exp", now + absl::ToInt64Seconds(kLifetime)}};
    files.emplace_back(absl::StrCat(role, ".token"),
                       crypto::SignJwt(token_key, kKeyId, claims.dump()));
  }
  for (const auto& [name, content] : files) {
    if (!WriteFileDurably(credentials.directory + "/" + name, content)) {
      return InvariantBroken("the development credentials cannot be written to the data directory");
    }
  }
  credentials.issuer.issuer = kIssuer;
  credentials.issuer.audience = kAudience;
  credentials.issuer.jwks = crypto::JwksOf(token_key, kKeyId);
  return credentials;
}

}  // namespace cmkstore::service
