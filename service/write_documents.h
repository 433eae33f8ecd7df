#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "cmkstore/v1/document_service.pb.h"
#include "crypto/random.h"
#include "service/first_answers.h"
#include "service/hub_access.h"
#include "service/storage_quota.h"
#include "service/write_plan.h"
#include "store/documents_table.h"
#include "store/engine.h"

namespace cmkstore::service {

// The writing half of DocumentService. Every write, single or batch, is one atomic commit: read
// what is there, decide, seal, and apply on condition that nothing changed meanwhile; if it did,
// decide again.
//
// Thread-safe. An answer means durable. Nothing is answered from what was only queued.
class WriteDocuments {
 public:
  using Committed = std::function<void(HubUid, store::Sequence)>;

  // `committed` hears of each commit, on a queue's thread; it must not block.
  WriteDocuments(HubAccess& hubs, store::Engine& engine, StorageQuota& quota,
                 crypto::Random& random, Clock& clock, Committed committed)
      : hubs_(hubs),
        engine_(engine),
        quota_(quota),
        random_(random),
        clock_(clock),
        committed_(std::move(committed)),
        first_answers_(hubs, engine, random, clock) {}

  Task<absl::StatusOr<v1::Document>> Create(const CallContext& context,
                                            const v1::CreateDocumentRequest& request);
  Task<absl::StatusOr<v1::Document>> Update(const CallContext& context,
                                            const v1::UpdateDocumentRequest& request);
  Task<absl::StatusOr<v1::DeleteDocumentResponse>> Delete(const CallContext& context,
                                                          const v1::DeleteDocumentRequest& request);
  Task<absl::StatusOr<v1::BatchWriteDocumentsResponse>> Batch(
      const CallContext& context, const v1::BatchWriteDocumentsRequest& request);

 private:
  // What a call is about beside its writes.
  struct WriteCall {
    HubName hub;
    std::vector<WriteIntent> intents;
    std::string request_id;
    std::string request_digest;  // of the whole request
    bool validate_only = false;
    bool is_batch = false;

    // The error of one write, which the caller of a batch finds by its place.
    absl::Status OfWrite(size_t place, const absl::Status& status) const;
  };
  struct Attempt;

  // Gives one document per intent, without content, each with the sequence of the commit.
  Task<absl::StatusOr<v1::BatchWriteDocumentsResponse>> Run(const CallContext& context,
                                                            const WriteCall& call);
  Task<absl::StatusOr<v1::Document>> RunOne(const CallContext& context, WriteCall call);
  // Reads the rows as they are and makes the write set that would change them.
  Task<absl::StatusOr<Attempt>> Prepare(const CallContext& context, const OpenHub& hub,
                                        const WriteCall& call,
                                        const std::vector<store::DocumentKey>& keys);
  absl::Status AddRow(const OpenHub& hub, const store::DocumentKey& key, const WriteIntent& intent,
                      const CurrentRow* current, PlannedRow planned, absl::Time now,
                      Attempt& attempt);

  HubAccess& hubs_;
  store::Engine& engine_;
  StorageQuota& quota_;
  crypto::Random& random_;
  Clock& clock_;
  const Committed committed_;
  FirstAnswers first_answers_;
};

}  // namespace cmkstore::service
