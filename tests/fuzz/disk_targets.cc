// What is read back from disk: envelopes, records, units of the search index.

#include <algorithm>
#include <cstring>
#include <string>

#include "cmkstore/storage/v1/records.pb.h"
#include "crypto/envelope.h"
#include "search/sealed_file.h"
#include "store/key_layout.h"
#include "tests/crypto/raw_envelope.h"
#include "tests/fuzz/targets.h"

namespace cmkstore::fuzz {
namespace {

using crypto::testing::AsBytes;

struct Hub {
  crypto::Dek dek = crypto::testing::DekOfByte('d', DekId());
  crypto::OpenKey open = *dek.MakeOpenKey();
  crypto::SealKey seal = *dek.MakeSealKey();
  crypto::Binding binding;
};

void Envelope(absl::string_view input) {
  static const Hub& hub = *new Hub;
  auto sealed = crypto::SealedDocument::Parse(std::string(input));
  if (!sealed.ok()) return;
  Promise(sealed->bytes() == input, "an envelope is its bytes");
  const auto opened = crypto::Open(hub.open, hub.binding, *sealed);
  Promise(!opened.ok(), "nobody without the key makes an envelope");
}

// The input is the authentic payload of a compressed envelope: what a holder of the key could make.
void CompressedPayload(absl::string_view input) {
  static const Hub& hub = *new Hub;
  auto sealed = crypto::SealedDocument::Parse(crypto::testing::SealRawPayload(
      hub.seal, hub.binding, crypto::kFlagZstd | crypto::kFlagPadded, input, crypto::XaesNonce{}));
  if (!sealed.ok()) return;
  const auto opened = crypto::Open(hub.open, hub.binding, *sealed);
  if (opened.ok()) Promise(opened->size() <= crypto::kMaxPlaintextBytes, "a plaintext is bounded");
}

template <typename Record>
void ReadRecord(const std::string& bytes) {
  Record record, again;
  if (!record.ParseFromString(bytes)) return;
  Promise(again.ParseFromString(record.SerializeAsString()),
          "a record that was read can be written and read again");
}

void Records(absl::string_view input) {
  using namespace storage::v1;  // NOLINT(google-build-using-namespace): as above
  if (const auto sequence = store::ParseFeedKey(input); sequence.has_value()) {
    Promise(store::FeedKey(*sequence) == input, "a feed key has one text");
  }
  if (input.empty()) return;
  const std::string bytes(input.substr(1));
  switch (static_cast<uint8_t>(input[0]) % 8) {
    case 0: return ReadRecord<FeedRecord>(bytes);
    case 1: return ReadRecord<DocumentBody>(bytes);
    case 2: return ReadRecord<HubRecord>(bytes);
    case 3: return ReadRecord<DekRecord>(bytes);
    case 4: return ReadRecord<ProjectRecord>(bytes);
    case 5: return ReadRecord<OperationRecord>(bytes);
    case 6: return ReadRecord<ResponseBody>(bytes);
    default: return ReadRecord<StoreRecord>(bytes);
  }
}

// A file of SQLite's kind in memory.
struct MemoryFile : sqlite3_file {
  std::string bytes;
};

const sqlite3_io_methods* MemoryMethods() {
  static const sqlite3_io_methods methods = [] {
    sqlite3_io_methods table{};
    table.iVersion = 1;
    table.xClose = [](sqlite3_file*) { return SQLITE_OK; };
    table.xRead = [](sqlite3_file* file, void* out, int size, sqlite3_int64 offset) {
      const std::string& bytes = static_cast<MemoryFile*>(file)->bytes;
      const size_t begin = std::min(bytes.size(), static_cast<size_t>(offset));
      const size_t there = std::min(bytes.size() - begin, static_cast<size_t>(size));
      std::memset(out, 0, static_cast<size_t>(size));
      std::memcpy(out, bytes.data() + begin, there);
      return there == static_cast<size_t>(size) ? SQLITE_OK : SQLITE_IOERR_SHORT_READ;
    };
    table.xWrite = [](sqlite3_file* file, const void* data, int size, sqlite3_int64 offset) {
      std::string& bytes = static_cast<MemoryFile*>(file)->bytes;
      const size_t end = static_cast<size_t>(offset + size);
      if (bytes.size() < end) bytes.resize(end);
      std::memcpy(bytes.data() + offset, data, static_cast<size_t>(size));
      return SQLITE_OK;
    };
    table.xFileSize = [](sqlite3_file* file, sqlite3_int64* size) {
      *size = static_cast<sqlite3_int64>(static_cast<MemoryFile*>(file)->bytes.size());
      return SQLITE_OK;
    };
    return table;
  }();
  return &methods;
}

// First byte: role; then u16 where in a sealed page the rest is laid over. What the overlay changes
// must not open.
void IndexUnit(absl::string_view input) {
  static crypto::SystemRandom random;
  static const crypto::XaesKey& key =
      *crypto::XaesKey::Create(crypto::SecretBytes(std::vector<uint8_t>(32, 'i')))->release();
  if (input.size() < 3) return;
  search::SealContext context{HubUid(), &key, &random};
  MemoryFile real;
  real.pMethods = MemoryMethods();
  const auto role = static_cast<search::FileRole>(1 + static_cast<uint8_t>(input[0]) % 3);
  search::SealedFile file(role, &real, context);
  const size_t first = role == search::FileRole::kLog ? 32 : 4096;
  std::vector<uint8_t> written(first, 'w');
  Promise(file.Write(written, 0) == SQLITE_OK, "a page is written");
  const std::string before = real.bytes;
  const size_t at = AsBytes(input)[1] << 8 | AsBytes(input)[2];
  if (at > real.bytes.size()) return;
  const absl::string_view overlay = input.substr(3);
  real.bytes.replace(at, overlay.size(), overlay.data(), overlay.size());
  const bool same = real.bytes.compare(0, before.size(), before) == 0;
  std::vector<uint8_t> read(first);
  const int result = file.Read(read, 0);
  Promise((result == SQLITE_OK && read == written) == same, "a damaged unit does not open");
  Promise(context.damaged == (result == SQLITE_IOERR_CORRUPTFS), "damage is remembered");
  std::vector<uint8_t> page(4096);
  (void)file.Read(page, static_cast<int64_t>(first));
  int64_t size = 0;
  (void)file.Size(&size);
}

}  // namespace

std::vector<Target> DiskTargets() {
  return {{"envelope", Envelope},
          {"compressed_payload", CompressedPayload},
          {"records", Records},
          {"index_unit", IndexUnit}};
}

}  // namespace cmkstore::fuzz
