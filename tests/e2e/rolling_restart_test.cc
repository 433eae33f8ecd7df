// A rolling restart as an orchestrator does it: SIGTERM, wait for the end, start the next, while
// callers go on. The real program, over mutual TLS.

#include <atomic>
#include <map>
#include <thread>
#include <vector>

#include "tests/e2e/served_process.h"

namespace cmkstore {
namespace {

constexpr int kCallers = 8;
constexpr int kRestarts = 3;

class RollingRestartTest : public ServedProcess {};

TEST_F(RollingRestartTest, NoCallIsCutAndNoAcknowledgedWriteIsLost) {
  StartServer();
  MakeProject();
  std::atomic<bool> stop = false;
  std::atomic<int> written = 0;
  std::vector<std::map<std::string, std::string>> acknowledged(kCallers);
  std::vector<std::vector<std::string>> failures(kCallers);
  std::vector<std::thread> callers;
  for (int caller = 0; caller < kCallers; ++caller) {
    callers.emplace_back([&, caller] {
      const auto documents = v1::DocumentService::NewStub(Connect(1 + caller));
      for (int n = 0; !stop; ++n) {
        v1::UpdateDocumentRequest put;
        const std::string name =
            absl::StrCat(kProject, "/collections/c/documents/d", caller, "-", n % 50);
        put.mutable_document()->set_name(name);
        put.mutable_document()->set_content(absl::StrCat(n));
        put.set_allow_missing(true);
        v1::Document stored;
        const grpc::Status status = documents->UpdateDocument(Caller().get(), put, &stored);
        if (status.ok()) {
          acknowledged[caller][name] = put.document().content();
          ++written;
        } else {
          failures[caller].push_back(
              absl::StrCat(status.error_code(), " ", status.error_message()));
        }
      }
    });
  }
  for (int restart = 0; restart < kRestarts; ++restart) {
    const int before = written;
    while (written < before + 200) absl::SleepFor(absl::Milliseconds(5));
    EXPECT_EQ(Terminate(), 0);
    StartServer();
  }
  const int before = written;
  while (written < before + 200) absl::SleepFor(absl::Milliseconds(5));
  stop = true;
  for (std::thread& caller : callers) caller.join();

  const auto documents = v1::DocumentService::NewStub(Connect(100));
  for (int caller = 0; caller < kCallers; ++caller) {
    EXPECT_THAT(failures[caller], ::testing::IsEmpty());
    for (const auto& [name, content] : acknowledged[caller]) {
      v1::GetDocumentRequest get;
      get.set_name(name);
      v1::Document found;
      ASSERT_EQ(ReasonOf(documents->GetDocument(Caller().get(), get, &found)), "OK") << name;
      EXPECT_EQ(found.content(), content) << name;
    }
  }
  EXPECT_EQ(Terminate(), 0);
}

}  // namespace
}  // namespace cmkstore
