#include "service/tls_files.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/errors.h"
#include "base/file.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "crypto/certificate_dates.h"
#include "crypto/digest.h"
#include "crypto/tls_identity.h"

namespace cmkstore::service {
namespace {

absl::StatusOr<std::string> Read(const std::string& path) {
  std::optional<std::string> content = ReadFile(path);
  if (content.has_value() && !content->empty()) return *std::move(content);
  return StateInvalid(absl::StrCat(path, " cannot be read or is empty"));
}

// A descriptor of a file in memory with this content, or -1.
int InMemory(const std::string& content) {
  const int fd = memfd_create("tls", MFD_CLOEXEC);
  if (fd < 0) return -1;
  if (write(fd, content.data(), content.size()) == static_cast<ssize_t>(content.size())) return fd;
  close(fd);
  return -1;
}

std::string PathOf(int fd) { return absl::StrCat("/proc/self/fd/", fd); }

}  // namespace

absl::StatusOr<std::unique_ptr<TlsFiles>> TlsFiles::Open(Paths paths) {
  std::unique_ptr<TlsFiles> files(new TlsFiles(std::move(paths)));
  CMK_RETURN_IF_ERROR(files->Poll().status());
  files->shown_ = {PathOf(files->copies_[0]), PathOf(files->copies_[1]), PathOf(files->copies_[2])};
  return files;
}

TlsFiles::~TlsFiles() {
  for (const int fd : copies_) {
    if (fd >= 0) close(fd);
  }
}

absl::StatusOr<bool> TlsFiles::Poll() {
  std::array<std::string, 3> contents;
  CMK_ASSIGN_OR_RETURN(contents[0], Read(paths_.certificate));
  CMK_ASSIGN_OR_RETURN(contents[1], Read(paths_.key));
  CMK_ASSIGN_OR_RETURN(contents[2], Read(paths_.client_ca));
  std::string digest;
  for (const std::string& content : contents) digest += crypto::Sha256(content);
  if (digest == in_force_) return false;
  const absl::Status sound = crypto::CheckTlsIdentity(contents[0], contents[1], contents[2]);
  if (!sound.ok()) {
    return StateInvalid(absl::StrCat(paths_.certificate, ", ", paths_.key, ", ", paths_.client_ca,
                                     ": ", sound.message()));
  }
  const absl::Status current = crypto::CheckCertificateIsCurrent(contents[0], absl::Now());
  if (!current.ok()) {
    const std::string problem = absl::StrCat(paths_.certificate, ": ", current.message());
    if (!in_force_.empty()) return StateInvalid(problem);
    Log(LogLevel::kError, "tls_certificate_not_current", {{"problem", problem}});
  }
  std::array<int, 3> fresh;
  for (size_t i = 0; i < fresh.size(); ++i) {
    fresh[i] = InMemory(contents[i]);
    if (fresh[i] < 0) {
      for (size_t j = 0; j < i; ++j) close(fresh[j]);
      return InvariantBroken("no file in memory for TLS");
    }
  }
  for (size_t i = 0; i < fresh.size(); ++i) {
    if (copies_[i] < 0) {
      copies_[i] = fresh[i];
      continue;
    }
    // Under the same descriptor, and so under the path that gRPC watches.
    dup3(fresh[i], copies_[i], O_CLOEXEC);
    close(fresh[i]);
  }
  in_force_ = std::move(digest);
  return true;
}

}  // namespace cmkstore::service
