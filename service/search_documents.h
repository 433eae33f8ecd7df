#pragma once

#include "base/clock.h"
#include "base/worker.h"
#include "cmkstore/v1/search_service.pb.h"
#include "search/index_follower.h"
#include "search/index_set.h"
#include "service/change_signal.h"
#include "service/hub_access.h"
#include "service/operations.h"
#include "service/page_token.h"
#include "service/unreadable_rows.h"
#include "store/engine.h"

namespace cmkstore::service {

// Of the worker on which searches run.
inline WorkerOptions SearchWorkerOptions() {
  constexpr size_t kThreads = 4, kMaxQueued = 1024;
  return {.name = "search",
          .threads = kThreads,
          .max_queued = kMaxQueued,
          .threads_of_one = kThreads - 1,
          .max_queued_of_one = kMaxQueued / 4};
}

// SearchService's questions. A search waits for its sequence on the queue's thread without holding
// it, then runs on a thread that may block; every hit is read again from the store through the same
// gate. Thread-safe.
class SearchDocuments {
 public:
  // `indexed` is notified each time a hub's index has moved.
  SearchDocuments(HubAccess& hubs, store::Engine& engine, search::IndexSet& indexes,
                  search::IndexFollower& follower, ChangeSignal& indexed, Operations& operations,
                  UnreadableRows& unreadable, Worker& worker, Clock& clock,
                  const PageTokens& tokens);

  Task<absl::StatusOr<v1::SearchResponse>> Search(const CallContext& context,
                                                  const v1::SearchRequest& request);
  // Blocking: for control threads.
  absl::StatusOr<v1::SearchIndex> GetIndex(const AdmittedCall& call,
                                           const v1::GetSearchIndexRequest& request);
  absl::StatusOr<google::longrunning::Operation> Rebuild(
      const AdmittedCall& call, const v1::RebuildSearchIndexRequest& request);

 private:
  absl::StatusOr<v1::SearchIndex> Describe(const HubEntry& hub);
  // What keeps it from taking in changes, if anything does.
  void DescribeFailure(HubUid hub, v1::SearchIndex& shown) const;
  absl::StatusOr<std::unique_ptr<google::protobuf::Message>> RunRebuild(OperationRun& run);
  struct Question;
  // Returns when the hub's index has applied `sequence`. Errors: DEADLINE_EXCEEDED, or why it does
  // not advance.
  Task<absl::Status> WaitForIndex(const CallContext& context, const OpenHub& hub,
                                  store::Sequence sequence, absl::Time deadline);
  absl::StatusOr<v1::SearchResponse> Answer(const AdmittedCall& call, const OpenHub& hub,
                                            const Question& question);
  // Whether all that the hub had committed by `last` is in an index that has applied `indexed`:
  // what is no change of a document may be missing.
  absl::StatusOr<bool> IsLevel(const store::Partition& hub, store::Sequence indexed,
                               store::Sequence last) const;
  // Nothing when the document that was indexed is gone, also if another has its name by now.
  absl::StatusOr<std::optional<v1::Document>> ReadHit(const AdmittedCall& call, const OpenHub& hub,
                                                      const search::SearchHit& hit,
                                                      const std::string& name,
                                                      v1::DocumentView view);

  HubAccess& hubs_;
  store::Engine& engine_;
  search::IndexSet& indexes_;
  search::IndexFollower& follower_;
  ChangeSignal& indexed_;
  Operations& operations_;
  UnreadableRows& unreadable_;
  Worker& worker_;
  Clock& clock_;
  const PageTokens& tokens_;
};

}  // namespace cmkstore::service
