#include "vault/dev_vault/state_files.h"

#include <optional>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/errors.h"
#include "base/file.h"
#include "base/status_macros.h"
#include "crypto/random.h"
#include "crypto/x509_mint.h"

namespace cmkstore::dev_vault {
namespace {

absl::Status Write(const std::string& path, const std::string& content) {
  if (WriteFileDurably(path, content)) return absl::OkStatus();
  return StateInvalid("a file in the state folder cannot be written");
}

// Names of every vault that a test may want to reach by connecting to this server: an Azure host
// name leads here only for a client that was told so.
const std::vector<std::string> kNames = {"DNS:localhost",
                                         "DNS:*.localhost",
                                         "DNS:*.vault.localhost",
                                         "DNS:*.managedhsm.localhost",
                                         "DNS:*.vault.azure.net",
                                         "DNS:*.managedhsm.azure.net",
                                         "DNS:*.vault.azure.cn",
                                         "DNS:*.vault.usgovcloudapi.net",
                                         "DNS:*.managedhsm.azure.cn",
                                         "DNS:*.managedhsm.usgovcloudapi.net",
                                         "IP:127.0.0.1",
                                         "IP:::1"};

constexpr char kCertificateBegins[] = "-----BEGIN CERTIFICATE-----";

}  // namespace

absl::StatusOr<std::string> KeptSecret(const std::string& path) {
  if (std::optional<std::string> kept = ReadFile(path); kept.has_value()) return *kept;
  const std::string fresh = crypto::SystemRandom().NewUid<HubUid>().ToHex();
  CMK_RETURN_IF_ERROR(Write(path, fresh));
  return fresh;
}

absl::StatusOr<crypto::RsaPrivateKey> KeptKey(const std::string& path) {
  if (std::optional<std::string> kept = ReadFile(path); kept.has_value()) {
    return crypto::RsaPrivateKey::FromPem(*kept);
  }
  CMK_ASSIGN_OR_RETURN(crypto::RsaPrivateKey key, crypto::RsaPrivateKey::Generate(2048));
  CMK_RETURN_IF_ERROR(Write(path, key.ToPem()));
  return key;
}

absl::Status WriteServerCertificate(const std::string& dir, const std::string& host,
                                    const std::vector<std::string>& more_names) {
  CMK_ASSIGN_OR_RETURN(const crypto::RsaPrivateKey tls_key, KeptKey(dir + "/tls.key"));
  CMK_ASSIGN_OR_RETURN(const crypto::RsaPrivateKey ca_key, KeptKey(dir + "/ca.key"));
  std::vector<std::string> names = kNames;
  if (host != "localhost") names.push_back("DNS:" + host);
  names.insert(names.end(), more_names.begin(), more_names.end());
  const std::string ca = crypto::MintCa(ca_key, "cmkdevvault CA");
  CMK_ASSIGN_OR_RETURN(const std::string certificate,
                       crypto::MintCertificate(ca_key, ca, tls_key, "localhost", names));
  CMK_RETURN_IF_ERROR(Write(dir + "/ca.pem", ca));
  return Write(dir + "/tls.pem", certificate);
}

absl::StatusOr<std::string> KeptClientCertificate(const std::string& dir,
                                                  const std::string& client_id) {
  const std::string path = dir + "/client.pem";
  std::optional<std::string> kept = ReadFile(path);
  if (!kept.has_value()) {
    CMK_ASSIGN_OR_RETURN(const crypto::RsaPrivateKey key, crypto::RsaPrivateKey::Generate(2048));
    const std::string certificate =
        crypto::MintCa(key, client_id);  // self-signed, as one registers
    kept = absl::StrCat(key.ToPem(), certificate);
    CMK_RETURN_IF_ERROR(Write(path, *kept));
  }
  const size_t begins = kept->find(kCertificateBegins);
  if (begins == std::string::npos) return StateInvalid("client.pem holds no certificate");
  return kept->substr(begins);
}

}  // namespace cmkstore::dev_vault
