// Envelopes that a released build wrote. Every later build must read them;
// tests/golden/envelope_v1/README.md says how they are made. A file is never changed.

#include <gtest/gtest.h>

#include <fstream>
#include <string>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "crypto/envelope.h"
#include "tests/crypto/raw_envelope.h"
#include "tests/testing/matchers.h"

namespace cmkstore::crypto {
namespace {

using ::cmkstore::testing::FailsWith;
using ::cmkstore::testing::IsOk;

struct Golden {
  const char* file;
  RowKind kind;
  Compression compression;
};

constexpr Golden kGolden[] = {
    {"document", RowKind::kDocument, Compression::kNone},
    {"document_zstd_padded", RowKind::kDocument, Compression::kZstdPadded},
    {"tombstone", RowKind::kTombstone, Compression::kNone},
    {"response", RowKind::kResponse, Compression::kNone},
    {"project", RowKind::kProject, Compression::kNone},
    {"hub", RowKind::kHub, Compression::kNone},
    {"hub_secrets", RowKind::kHubSecrets, Compression::kNone},
    {"audit", RowKind::kAudit, Compression::kNone},
};
constexpr char kPlaintext[] =
    R"({"flow": "retail-assistant", "tags": ["golden", "golden", "golden", "golden"]})";
constexpr uint64_t kRevision = 0x0102030405060708;

template <typename Uid>
Uid UidOf(uint8_t start) {
  testing::CountingRandom bytes(start);
  return bytes.NewUid<Uid>();
}

class GoldenTest : public ::testing::TestWithParam<Golden> {
 protected:
  Binding BindingOf(RowKind kind) {
    Binding binding;
    binding.kind = kind;
    binding.tenant = "11111111-2222-4333-8444-555555555555";
    binding.hub = UidOf<HubUid>(0x10);
    binding.project = std::string(UidOf<ProjectUid>(0x30).bytes());
    binding.collection = "flows";
    binding.document = "retail-assistant";
    return binding;
  }
  // Lines of hexadecimal digits.
  std::string Stored() {
    std::ifstream file(absl::StrCat("tests/golden/envelope_v1/", GetParam().file, ".hex"));
    std::string digits;
    for (std::string line; std::getline(file, line);) digits += line;
    return absl::HexStringToBytes(digits);
  }

  Dek dek_ = testing::DekOfByte(0x42, UidOf<DekId>(0x50));
};

TEST_P(GoldenTest, IsReadByThisBuild) {
  const auto sealed = SealedDocument::Parse(Stored());
  ASSERT_THAT(sealed, IsOk());
  EXPECT_EQ(sealed->dek_id(), dek_.dek_id());
  EXPECT_EQ(sealed->revision(), kRevision);
  const auto opened = Open(*dek_.MakeOpenKey(), BindingOf(GetParam().kind), *sealed);
  ASSERT_THAT(opened, IsOk());
  EXPECT_EQ(*opened, kPlaintext);
}

TEST_P(GoldenTest, OpensAsItsOwnKindOnly) {
  const auto sealed = SealedDocument::Parse(Stored());
  ASSERT_THAT(sealed, IsOk());
  for (const Golden& other : kGolden) {
    if (other.kind == GetParam().kind) continue;
    EXPECT_THAT(Open(*dek_.MakeOpenKey(), BindingOf(other.kind), *sealed),
                FailsWith("DOCUMENT_CORRUPT", ""))
        << other.file;
  }
}

// Without compression the format leaves no choice: the same key, nonce and binding give the same
// bytes. (zstd may pack otherwise in another version.)
TEST_P(GoldenTest, IsWrittenTheSameByThisBuild) {
  if (GetParam().compression != Compression::kNone) return;
  testing::CountingRandom nonce(0x80);
  const auto sealed = Seal(*dek_.MakeSealKey(), BindingOf(GetParam().kind), kRevision, kPlaintext,
                           nonce, GetParam().compression);
  ASSERT_THAT(sealed, IsOk());
  EXPECT_EQ(absl::BytesToHexString(sealed->bytes()), absl::BytesToHexString(Stored()));
}

INSTANTIATE_TEST_SUITE_P(EnvelopeV1, GoldenTest, ::testing::ValuesIn(kGolden),
                         [](const auto& info) { return std::string(info.param.file); });

}  // namespace
}  // namespace cmkstore::crypto
