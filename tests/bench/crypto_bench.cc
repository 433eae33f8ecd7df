// cmkbench_crypto: what each step of sealing, opening and naming a document of 1 KiB costs.

#include <benchmark/benchmark.h>

#include "crypto/blind_name.h"
#include "crypto/dek.h"
#include "crypto/digest.h"
#include "crypto/envelope.h"
#include "crypto/random.h"
#include "crypto/xaes.h"

namespace cmkstore::crypto {
namespace {

constexpr size_t kBytes = 1024;

struct Keys {
  Keys() {
    Binding made;
    made.tenant = "11111111-2222-4333-8444-555555555555";
    made.project = made.collection = made.document = std::string(16, 'x');
    binding = std::move(made);
  }
  SystemRandom random;
  std::unique_ptr<XaesKey> xaes = *XaesKey::Create(random.Secret(kXaesKeyBytes));
  Dek dek = *Dek::FromSecret(DekId(), random.Secret(kDekBytes));
  SealKey seal = *dek.MakeSealKey();
  OpenKey open = *dek.MakeOpenKey();
  NameKey names = *NameKey::FromSecret(random.Secret(32));
  Binding binding;
  std::string plaintext = std::string(kBytes, 'p');
};

Keys& SharedKeys() {
  static Keys keys;
  return keys;
}

void GetRandomNonce(benchmark::State& state) {
  XaesNonce nonce;
  for (auto _ : state) SharedKeys().random.Fill(nonce);
}
BENCHMARK(GetRandomNonce);

void XaesSeal(benchmark::State& state) {
  const Keys& keys = SharedKeys();
  const XaesNonce nonce{};
  std::vector<uint8_t> plaintext(kBytes), sealed(kBytes + kXaesTagBytes), data(200);
  for (auto _ : state) keys.xaes->Seal(nonce, plaintext, data, sealed);
}
BENCHMARK(XaesSeal);

void XaesOpen(benchmark::State& state) {
  const Keys& keys = SharedKeys();
  const XaesNonce nonce{};
  std::vector<uint8_t> plaintext(kBytes), sealed(kBytes + kXaesTagBytes), data(200);
  keys.xaes->Seal(nonce, plaintext, data, sealed);
  for (auto _ : state) {
    if (!keys.xaes->Open(nonce, sealed, data, plaintext).ok()) state.SkipWithError("corrupt");
  }
}
BENCHMARK(XaesOpen);

void XaesCommit(benchmark::State& state) {
  const XaesNonce nonce{};
  for (auto _ : state) benchmark::DoNotOptimize(SharedKeys().xaes->Commit(nonce));
}
BENCHMARK(XaesCommit);

void SealDocument(benchmark::State& state) {
  Keys& keys = SharedKeys();
  for (auto _ : state) {
    benchmark::DoNotOptimize(Seal(keys.seal, keys.binding, 1, keys.plaintext, keys.random));
  }
}
BENCHMARK(SealDocument);

void OpenDocument(benchmark::State& state) {
  Keys& keys = SharedKeys();
  const SealedDocument sealed = *Seal(keys.seal, keys.binding, 1, keys.plaintext, keys.random);
  for (auto _ : state) {
    if (!Open(keys.open, keys.binding, sealed).ok()) state.SkipWithError("corrupt");
  }
}
BENCHMARK(OpenDocument);

void BlindDocumentName(benchmark::State& state) {
  for (auto _ : state) {
    benchmark::DoNotOptimize(SharedKeys().names.Document(ProjectUid(), "evaluations", "nightly-1"));
  }
}
BENCHMARK(BlindDocumentName);

void HashToken(benchmark::State& state) {
  const std::string token(700, 't');
  for (auto _ : state) benchmark::DoNotOptimize(Sha256(token));
}
BENCHMARK(HashToken);

}  // namespace
}  // namespace cmkstore::crypto

BENCHMARK_MAIN();
