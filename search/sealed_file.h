#pragma once

#include <sqlite3.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/ids.h"
#include "crypto/random.h"
#include "crypto/xaes.h"

namespace cmkstore::search {

// On disk, in the associated data of every sealed unit; do not renumber.
enum class FileRole : uint8_t { kMain = 1, kLog = 2, kJournal = 3 };

inline constexpr int64_t kPageBytes = 4096;  // what SQLite writes
// What becomes of it on disk: with nonce and tag.
inline constexpr int64_t kSealedPageBytes =
    kPageBytes + crypto::kXaesNonceBytes + crypto::kXaesTagBytes;

// What sealing a file's units needs; shared by the files of one index.
struct SealContext {
  HubUid hub;
  const crypto::XaesKey* key = nullptr;
  crypto::Random* random = nullptr;
  // SQLite has yet to find out where the log ends.
  bool recovering = true;
  bool damaged = false;  // a unit did not open
  int refusal = 0;       // errno of what the operating system refused last
};

// One file of an SQLite database, sealed unit by unit over the file that really holds it.
//
// A unit is what SQLite writes at once: a page of the main file, the header or one whole frame of
// the log. So a unit that is appended never touches one that was written before, and nothing is
// readable on disk, the checksums in the headers included, which are of the plaintext.
//
// A power failure may leave units of the log half written, which then do not open. While SQLite
// recovers the log they read as zeros, which are no frame to it: the log ends there, as it would if
// the file did, and the index is behind.
//
// Not thread-safe, as SQLite's files are. Results are SQLite's codes: SQLITE_IOERR_CORRUPTFS, and
// `damaged` in the context, when a unit does not open; SQLITE_IOERR_SHORT_READ beyond the end.
class SealedFile {
 public:
  // `real` is open, and is closed by Close. `context` must outlive this.
  SealedFile(FileRole role, sqlite3_file* real, SealContext& context);

  int Read(std::span<uint8_t> out, int64_t offset);
  int Write(std::span<const uint8_t> data, int64_t offset);
  int Truncate(int64_t size);
  int Sync(int flags);
  // The logical size; a torn last unit is not counted.
  int Size(int64_t* size);
  int Close();
  sqlite3_file* real() { return real_; }

 private:
  struct Unit {
    int64_t number;
    int64_t begin;     // logical
    int64_t size;      // logical
    int64_t physical;  // where it is in the real file
  };

  Unit UnitAt(int64_t offset) const;
  enum class Found { kUnit, kNothing, kDamage };  // in its place in the file
  // Zeros unless there is a unit, and it opens.
  int Load(const Unit& unit, uint8_t* out, Found* found);
  // What is to be said of damage.
  int Lost();
  int Store(const Unit& unit, const uint8_t* plaintext);
  int WritePart(const Unit& unit, std::span<const uint8_t> data, int64_t offset);
  int Flush();
  std::vector<uint8_t> AssociatedData(int64_t number) const;

  const FileRole role_;
  const int64_t first_size_, unit_size_;  // logical sizes of unit 0 and of all others
  sqlite3_file* const real_;
  SealContext& context_;
  std::vector<uint8_t> sealed_, plain_;  // room for one unit
  // A unit whose beginning has been written, and whose rest is about to be.
  std::vector<uint8_t> pending_;
  int64_t pending_number_ = -1;
  // Of the log: what is in its units from here on is of no use, and is written over unseen.
  int64_t end_ = 0;
};

}  // namespace cmkstore::search
