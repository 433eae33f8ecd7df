#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tests/bench/load.h"
#include "tests/bench/service_client.h"

namespace cmkstore::bench {

inline constexpr uint64_t kDocumentsPerBatch = 100;

// The calls of a server that are measured, with what their answers must be. They read documents
// [0, `documents`) of one hub, which are stored and indexed, and write new ones behind them.
class ServiceCases {
 public:
  // `client` must outlive this, and this what it returns.
  ServiceCases(ServiceClient& client, const std::string& hub, uint64_t documents);

  CallMaker Read() const { return Calls(read_); }
  CallMaker Write() const { return Calls(write_); }
  CallMaker Update() const { return Calls(update_); }
  CallMaker Mixed95() const { return Mixed(Calls(read_), Calls(write_)); }
  CallMaker BatchWrite() const { return Calls(batch_write_); }
  CallMaker BatchGet() const { return Calls(batch_get_); }
  CallMaker Search() const { return Calls(search_); }
  CallMaker List() const { return Calls(list_); }
  // Waits until the index has what was written, and reads some of it back. Errors: INTERNAL when it
  // is not what was given.
  absl::Status Settle();

 private:
  void DefineReads();
  void DefineWrites();
  void DefineSearch();
  v1::Document NewDocument();
  // Empty when it is the stored document of its name.
  std::string Compare(const v1::Document& found) const;

  ServiceClient& client_;
  const std::string hub_, project_;
  std::vector<v1::Document> documents_;
  uint64_t next_new_;
  uint64_t settled_;  // up to this one they were read back
  Operation<v1::GetDocumentRequest, v1::Document> read_;
  Operation<v1::UpdateDocumentRequest, v1::Document> write_, update_;
  Operation<v1::BatchWriteDocumentsRequest, v1::BatchWriteDocumentsResponse> batch_write_;
  Operation<v1::BatchGetDocumentsRequest, v1::BatchGetDocumentsResponse> batch_get_;
  Operation<v1::SearchRequest, v1::SearchResponse> search_;
  Operation<v1::ListDocumentsRequest, v1::ListDocumentsResponse> list_;
};

}  // namespace cmkstore::bench
