#pragma once

#include <array>
#include <memory>
#include <string>

#include "absl/status/statusor.h"

namespace cmkstore::service {

// The files of mutual TLS as gRPC is shown them: copies in memory, which are changed together and
// only to what a server can use. gRPC watches files by itself, but takes over whatever is there,
// and then refuses every new connection.
//
// Poll is not thread-safe; the paths may be read by any thread while it runs.
class TlsFiles {
 public:
  struct Paths {
    std::string certificate, key, client_ca;
  };

  // A certificate that is not valid now is taken and logged (`tls_certificate_not_current`): there
  // is no better one, and its successor needs no other start. Errors: STATE_INVALID naming a file
  // that cannot be read, or what CheckTlsIdentity says.
  static absl::StatusOr<std::unique_ptr<TlsFiles>> Open(Paths paths);
  ~TlsFiles();
  TlsFiles(const TlsFiles&) = delete;
  TlsFiles& operator=(const TlsFiles&) = delete;

  // Looks at the files, and takes them over if they have changed. Returns whether they did. Errors:
  // as Open, and for a certificate that is not valid now; then nothing was taken over.
  absl::StatusOr<bool> Poll();

  // Of the copies.
  const Paths& shown() const { return shown_; }

 private:
  explicit TlsFiles(Paths paths) : paths_(std::move(paths)) {}

  const Paths paths_;
  Paths shown_;
  std::string in_force_;                      // digest of what the copies hold
  std::array<int, 3> copies_ = {-1, -1, -1};  // descriptors, in the order of Paths
};

}  // namespace cmkstore::service
