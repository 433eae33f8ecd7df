#pragma once

#define CPPHTTPLIB_OPENSSL_SUPPORT
#include <httplib.h>
#include <openssl/ssl.h>

#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "crypto/rsa_key.h"
#include "crypto/x509_mint.h"
#include "tests/testing/temp_dir.h"

namespace cmkstore::testing {

// An HTTPS server on a free port of this machine whose certificate, TLS versions and answers a test
// chooses. Reached as any host name by curl's connect_to.
class TlsServer {
 public:
  struct Options {
    std::vector<std::string> names = {"DNS:contoso.vault.azure.net"};
    int min_version = TLS1_2_VERSION;
    int max_version = TLS1_3_VERSION;
    int extra_certificates = 0;  // copies of the CA sent along
  };

  explicit TlsServer(const Options& options) {
    const auto ca_key = *crypto::RsaPrivateKey::Generate(2048);
    const auto key = *crypto::RsaPrivateKey::Generate(2048);
    const std::string ca = crypto::MintCa(ca_key, "test CA");
    const std::string certificate =
        *crypto::MintCertificate(ca_key, ca, key, "test server", options.names);
    std::ofstream(ca_file()) << ca;
    std::string chain = certificate;
    for (int i = 0; i < options.extra_certificates; ++i) chain += ca;
    const std::string pem = dir_.path() + "/chain.pem";
    std::ofstream(pem) << chain;
    std::ofstream(dir_.path() + "/key.pem") << key.ToPem();
    server_ = std::make_unique<httplib::SSLServer>(pem.c_str(), (dir_.path() + "/key.pem").c_str());
    SSL_CTX_set_min_proto_version(server_->ssl_context(), options.min_version);
    SSL_CTX_set_max_proto_version(server_->ssl_context(), options.max_version);
    SSL_CTX_set_security_level(server_->ssl_context(), 0);  // else no TLS 1.1 can be offered
    server_->set_keep_alive_timeout(1);                     // seconds; else stopping takes longer
    port_ = server_->bind_to_any_port("127.0.0.1");
    thread_ = std::thread([this] { server_->listen_after_bind(); });
    while (!server_->is_running()) std::this_thread::yield();
  }
  ~TlsServer() {
    server_->stop();
    thread_.join();
  }

  httplib::Server& http() { return *server_; }
  std::string ca_file() const { return dir_.path() + "/ca.pem"; }
  int port() const { return port_; }
  // For CurlTransportOptions::connect_to.
  std::string ConnectTo(const std::string& host) const {
    return absl::StrCat(host, ":443:127.0.0.1:", port_);
  }

 private:
  testing::TempDir dir_;
  std::unique_ptr<httplib::SSLServer> server_;
  int port_ = 0;
  std::thread thread_;
};

}  // namespace cmkstore::testing
