#include "service/backup/purge_receipts.h"

#include <filesystem>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "service/backup/backup_errors.h"
#include "service/backup/checked_file.h"

namespace cmkstore::service {
namespace {

namespace fs = std::filesystem;

}  // namespace

absl::Status PurgeReceipts::Prepare() const {
  std::error_code failed;
  if (fs::is_directory(directory_, failed)) return absl::OkStatus();
  if (is_configured_) {
    return BackupStorageFailed(
        "the directory of purge receipts (backup.receipts_directory) does not exist; mount it, or "
        "make it");
  }
  fs::create_directory(directory_, failed);
  if (failed) return BackupStorageFailed("the directory of purge receipts cannot be made");
  return SyncDirectory(fs::path(directory_).parent_path());
}

absl::Status PurgeReceipts::Keep(const storage::v1::HubRecord& record) const {
  CMK_RETURN_IF_ERROR(Prepare());
  storage::v1::PurgedHub receipt;
  receipt.set_hub_uid(absl::BytesToHexString(record.uid()));
  const std::string path = absl::StrCat(directory_, "/", receipt.hub_uid(), ".json");
  std::error_code ignored;
  if (fs::exists(path, ignored)) return absl::OkStatus();
  receipt.set_tenant(record.tenant());
  receipt.set_hub(record.hub());
  receipt.set_start_time_micros(record.purge().start_time_micros());
  for (const std::string& dek : record.purge().dek_ids()) {
    receipt.add_dek_ids(absl::BytesToHexString(dek));
  }
  return WriteChecked(path, receipt);
}

absl::StatusOr<std::map<std::string, storage::v1::PurgedHub>> PurgeReceipts::ReadAll() const {
  std::error_code failed;
  if (!fs::is_directory(directory_, failed)) {
    return StateInvalid(
        "the directory of purge receipts is not there: without it a purged hub could come back; "
        "mount it, or make an empty one if no hub was ever purged");
  }
  std::map<std::string, storage::v1::PurgedHub> purged;
  for (fs::directory_iterator at(directory_, failed), end; !failed && at != end;
       at.increment(failed)) {
    const std::string name = at->path().filename();
    if (!absl::EndsWith(name, ".json")) continue;
    storage::v1::PurgedHub receipt;
    CMK_RETURN_IF_ERROR(
        Annotate(ReadChecked(at->path(), receipt), absl::StrCat("the purge receipt ", name)));
    if (name != receipt.hub_uid() + ".json") {
      return BackupCorrupt(absl::StrCat("the purge receipt ", name, " is of another hub"));
    }
    purged[absl::HexStringToBytes(receipt.hub_uid())] = receipt;
  }
  if (failed) return BackupStorageFailed("the directory of purge receipts cannot be listed");
  return purged;
}

}  // namespace cmkstore::service
