#pragma once

namespace cmkstore::service {

// The kind of operation that the mark of a restore (store::RestoreTable) belongs to: the mark goes
// in the commit that writes the operation's end. On disk.
inline constexpr char kRestoreKind[] = "restore";

}  // namespace cmkstore::service
