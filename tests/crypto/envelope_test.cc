#include "crypto/envelope.h"

#include <gtest/gtest.h>

#include <string>

#include "absl/strings/escaping.h"
#include "base/errors.h"
#include "crypto/envelope_layout.h"
#include "tests/crypto/raw_envelope.h"
#include "tests/testing/matchers.h"

namespace cmkstore::crypto {
namespace {

using ::cmkstore::testing::FailsWith;
using ::cmkstore::testing::IsOk;

class EnvelopeTest : public ::testing::Test {
 protected:
  EnvelopeTest() : dek_(NewDek()) {
    binding_.tenant = "contoso";
    binding_.hub = random_.NewUid<HubUid>();
    binding_.project = std::string(16, 'p');
    binding_.collection = "flows";
    binding_.document = "retail-assistant";
  }

  Dek NewDek() { return *Dek::FromSecret(random_.NewUid<DekId>(), random_.Secret(kDekBytes)); }
  std::string SealedBytes(absl::string_view plaintext) {
    return std::string(Seal(*dek_.MakeSealKey(), binding_, 7, plaintext, random_)->bytes());
  }
  absl::StatusOr<std::string> ParseAndOpen(std::string bytes, const Binding& binding) {
    absl::StatusOr<SealedDocument> sealed = SealedDocument::Parse(std::move(bytes));
    if (!sealed.ok()) return sealed.status();
    return Open(*dek_.MakeOpenKey(), binding, *sealed);
  }

  SystemRandom random_;
  Dek dek_;
  Binding binding_;
};

TEST_F(EnvelopeTest, OpensWhatItSealed) {
  for (absl::string_view plaintext : {"", "x", "{\"name\": \"an ordinary document\"}"}) {
    const std::string bytes = SealedBytes(plaintext);
    EXPECT_EQ(bytes.size(), plaintext.size() + SealedDocument::kOverheadBytes);
    // A shorter one may stand in the random bytes by chance.
    if (plaintext.size() >= 8) {
      EXPECT_EQ(bytes.find(std::string(plaintext)), std::string::npos);
    }
    const auto opened = ParseAndOpen(bytes, binding_);
    ASSERT_THAT(opened, IsOk());
    EXPECT_EQ(*opened, plaintext);
  }
}

TEST_F(EnvelopeTest, SaysItsKeyAndRevision) {
  const auto sealed = SealedDocument::Parse(SealedBytes("x"));
  ASSERT_THAT(sealed, IsOk());
  EXPECT_EQ(sealed->revision(), 7u);
  EXPECT_EQ(sealed->dek_id(), dek_.dek_id());
}

TEST_F(EnvelopeTest, RefusesEveryFlippedBitWithOneError) {
  const std::string bytes = SealedBytes("a document that nobody may change");
  for (size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    std::string damaged = bytes;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << bit % 8));
    const auto opened = ParseAndOpen(damaged, binding_);
    ASSERT_FALSE(opened.ok()) << bit;
    const std::string reason = ReasonOf(opened.status());
    const size_t at = bit / 8;
    if (at == kVersionOffset || at == kSuiteOffset) {
      EXPECT_TRUE(reason == "FORMAT_TOO_NEW" || reason == "DOCUMENT_CORRUPT") << bit;
    } else if (at >= kDekIdOffset && at < kRevisionOffset) {
      EXPECT_EQ(reason, "DEK_NOT_FOUND") << bit;
    } else {
      EXPECT_EQ(opened.status(), DocumentCorrupt()) << bit;
    }
  }
}

TEST_F(EnvelopeTest, RefusesEveryTruncationAndOneByteTooLong) {
  const std::string bytes = SealedBytes("a document");
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_THAT(ParseAndOpen(bytes.substr(0, size), binding_), FailsWith("DOCUMENT_CORRUPT", ""));
  }
  EXPECT_THAT(ParseAndOpen(bytes + '\0', binding_), FailsWith("DOCUMENT_CORRUPT", ""));
}

TEST_F(EnvelopeTest, NextVersionAndUnknownSuiteAreTooNewNotCorrupt) {
  std::string bytes = SealedBytes("a document");
  bytes[kVersionOffset] = 2;
  EXPECT_THAT(ParseAndOpen(bytes, binding_), FailsWith("FORMAT_TOO_NEW", "upgrade"));
  bytes = SealedBytes("a document");
  bytes[kSuiteOffset] = 9;
  EXPECT_THAT(ParseAndOpen(bytes, binding_), FailsWith("FORMAT_TOO_NEW", "upgrade"));
}

TEST_F(EnvelopeTest, RefusesEverySwapOfABoundField) {
  const std::string bytes = SealedBytes("a document");
  const auto expect_refused = [&](const char* what, const Binding& other) {
    EXPECT_THAT(ParseAndOpen(bytes, other), FailsWith("DOCUMENT_CORRUPT", "")) << what;
  };
  Binding other = binding_;
  other.tenant = "fabrikam";
  expect_refused("tenant", other);
  other = binding_;
  other.hub = random_.NewUid<HubUid>();
  expect_refused("hub", other);
  other = binding_;
  other.project = std::string(16, 'q');
  expect_refused("project", other);
  other = binding_;
  other.collection = "indexes";
  expect_refused("collection", other);
  other = binding_;
  other.document = "claims-triage";
  expect_refused("document", other);
  other = binding_;
  other.kind = RowKind::kTombstone;
  expect_refused("kind", other);
  other = binding_;
  other.collection = "flow";
  other.document = "sretail-assistant";
  expect_refused("a byte moved between fields", other);
}

TEST_F(EnvelopeTest, AnotherKeyDoesNotOpen) {
  const auto sealed = SealedDocument::Parse(SealedBytes("a document"));
  ASSERT_THAT(sealed, IsOk());
  EXPECT_THAT(Open(*NewDek().MakeOpenKey(), binding_, *sealed), FailsWith("DEK_NOT_FOUND", ""));
  const Dek impostor = *Dek::FromSecret(dek_.dek_id(), random_.Secret(kDekBytes));
  EXPECT_THAT(Open(*impostor.MakeOpenKey(), binding_, *sealed), FailsWith("DOCUMENT_CORRUPT", ""));
}

TEST_F(EnvelopeTest, CompressesIntoPaddedBuckets) {
  const std::string plaintext(100'000, 'a');
  const auto sealed =
      Seal(*dek_.MakeSealKey(), binding_, 1, plaintext, random_, Compression::kZstdPadded);
  ASSERT_THAT(sealed, IsOk());
  EXPECT_LT(sealed->bytes().size(), 1000u);
  EXPECT_EQ((sealed->bytes().size() - SealedDocument::kOverheadBytes) % 64, 0u);
  const auto opened = Open(*dek_.MakeOpenKey(), binding_, *sealed);
  ASSERT_THAT(opened, IsOk());
  EXPECT_EQ(*opened, plaintext);
}

// What only a holder of the key could make: the payload is authentic and still not believed.
TEST_F(EnvelopeTest, RefusesACompressedPayloadThatIsNotAsItSays) {
  const SealKey key = *dek_.MakeSealKey();
  const auto open_raw = [&](const std::string& payload) {
    return ParseAndOpen(
        testing::SealRawPayload(key, binding_, kFlagZstd | kFlagPadded, payload, XaesNonce{}),
        binding_);
  };
  const std::string frame = absl::HexStringToBytes("28b52ffd2003190000616263");  // zstd of "abc"
  const std::string size("\0\0\0\3", 4);
  ASSERT_THAT(open_raw(size + frame + std::string(48, '\0')), IsOk());
  const std::string refused[] = {
      "",
      size.substr(0, 3),
      size,
      "\xff\xff\xff\xff" + frame,          // declares more than any row has
      std::string("\0\0\0\4", 4) + frame,  // declares more than the frame holds
      std::string("\0\0\0\2", 4) + frame,  // declares less
      size + frame.substr(0, frame.size() - 1),
      size + frame + std::string(47, '\0') + "x",  // padding that says something
      size + frame + frame,
  };
  for (const std::string& payload : refused) {
    EXPECT_THAT(open_raw(payload), FailsWith("DOCUMENT_CORRUPT", "")) << payload.size();
  }
}

TEST_F(EnvelopeTest, ParseAcceptsTheLargestRowThatSealMakes) {
  std::string plaintext(kMaxPlaintextBytes, '\0');
  random_.Fill(
      {reinterpret_cast<uint8_t*>(plaintext.data()), plaintext.size()});  // no zstd helps here
  for (const Compression compression : {Compression::kNone, Compression::kZstdPadded}) {
    const auto sealed = Seal(*dek_.MakeSealKey(), binding_, 1, plaintext, random_, compression);
    ASSERT_THAT(sealed, IsOk());
    const auto opened = ParseAndOpen(std::string(sealed->bytes()), binding_);
    ASSERT_THAT(opened, IsOk());
    EXPECT_TRUE(*opened == plaintext);
  }
}

TEST_F(EnvelopeTest, RefusesToSealWhatNoParseWouldAccept) {
  const std::string plaintext(kMaxPlaintextBytes + 1, 'a');
  for (const Compression compression : {Compression::kNone, Compression::kZstdPadded}) {
    EXPECT_THAT(Seal(*dek_.MakeSealKey(), binding_, 1, plaintext, random_, compression),
                FailsWith("INVARIANT", ""));
  }
}

}  // namespace
}  // namespace cmkstore::crypto
