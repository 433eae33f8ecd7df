#pragma once

#include "base/clock.h"
#include "cmkstore/v1/document_service.pb.h"
#include "service/change_signal.h"
#include "service/read_documents.h"
#include "service/rpc_method.h"

namespace cmkstore::service {

// WatchDocuments: the change feed of a hub as a stream. Each round asks the gate and the key cache
// anew, so that a stream ends with the reason that a get would have: a hub that locks, a token that
// expires or whose issuer is trusted no more, a network that is allowed no more. Thread-safe.
class WatchDocuments {
 public:
  WatchDocuments(HubAccess& hubs, ReadDocuments& reads, store::Engine& engine,
                 UnreadableRows& unreadable, ChangeSignal& signal, Clock& clock)
      : hubs_(hubs),
        reads_(reads),
        engine_(engine),
        unreadable_(unreadable),
        signal_(signal),
        clock_(clock) {}

  Task<absl::Status> Watch(const CallContext& stream_context,
                           const v1::WatchDocumentsRequest& request,
                           ResponseStream<v1::WatchDocumentsResponse>& stream);

 private:
  // What is watched.
  struct Scope {
    HubName hub;
    std::optional<ProjectId> project;  // absent: the whole hub
    ProjectUid uid;                    // of the project
  };
  // How far a watch has come: all commits up to a sequence, and so many changes of the next one.
  struct Place {
    store::Sequence sequence = 0;
    int told = 0;
    bool gone = false;  // past the deletion of the project that is watched
    bool operator==(const Place&) const = default;
  };

  // The changes behind `place`, at most one part of the stream, and moves it. A commit that is too
  // large for one part goes in several, each but the last with the sequence of the commit before.
  Task<absl::StatusOr<v1::WatchDocumentsResponse>> NextPart(const CallContext& context,
                                                            const OpenHub& hub, const Scope& scope,
                                                            Place& place, v1::DocumentView view);
  // Absent: not a change that is told of, or of a project that is not watched or is gone.
  Task<absl::StatusOr<std::optional<v1::DocumentChange>>> ToChange(
      const CallContext& context, const OpenHub& hub, const Scope& scope,
      const storage::v1::FeedChange& change, v1::DocumentView view);
  static std::optional<v1::DocumentChange> ToDeletion(const Scope& scope,
                                                      const storage::v1::FeedChange& change);
  // Absent: not there any more.
  Task<absl::StatusOr<std::optional<v1::DocumentChange>>> ReadPut(const CallContext& context,
                                                                  const OpenHub& hub,
                                                                  const std::string& project_name,
                                                                  const store::DocumentKey& key,
                                                                  v1::DocumentView view);
  Task<absl::StatusOr<std::optional<v1::DocumentChange>>> ReadTombstone(
      const CallContext& context, const OpenHub& hub, const std::string& project_name,
      const store::DocumentKey& key, const storage::v1::FeedChange& change);

  HubAccess& hubs_;
  ReadDocuments& reads_;
  store::Engine& engine_;
  UnreadableRows& unreadable_;
  ChangeSignal& signal_;
  Clock& clock_;
};

}  // namespace cmkstore::service
