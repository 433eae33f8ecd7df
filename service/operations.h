#pragma once

#include <google/protobuf/message.h>

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "base/clock.h"
#include "base/worker.h"
#include "crypto/random.h"
#include "google/longrunning/operations.pb.h"
#include "service/change_signal.h"
#include "service/hub_access.h"
#include "service/operation_codec.h"
#include "service/page_token.h"
#include "service/unstored_operations.h"
#include "store/engine.h"

namespace cmkstore::service {

// What the body of an operation is given. Used by one thread.
class OperationRun {
 public:
  virtual ~OperationRun() = default;
  virtual const HubEntryPtr& hub() const = 0;
  // What the run was started with.
  virtual const std::string& argument() const = 0;
  // Whether somebody asked to stop this run, for good.
  virtual bool cancel_requested() const = 0;
  // Whether the server stops: what the body leaves undone goes on after the next start.
  virtual bool stopping() const = 0;
  // CANCELLED once somebody asked to stop, or the server stops: the body returns it at its next
  // safe point.
  virtual absl::Status CheckGoOn() const = 0;
  // Shown to whoever asks; durable now and then.
  virtual void Progress(uint64_t done, uint64_t total) = 0;
};

// Long-running work: durable, resumed after a crash, watched by google.longrunning.Operations.
//
// An operation is a record in its hub's partition and, while it is not done, a pointer in the
// catalog by which a restarted server finds it again. Its body runs on a worker and must be
// idempotent: after a crash it runs once more from its begin, with the same argument. Operations go
// on being readable while the hub is locked.
//
// Tenants take turns, two operations of each at once: one that rebuilds all its indexes delays
// nobody else's new key.
//
// The server has operations of its own, `server/operations/{operation}`: their records are in the
// catalog, and they run one after the other on a thread of their own. They are removed 30 days
// after they have ended, by the end of the next one. A restart forgets those of which the store has
// taken no record (StartLookOfServer).
//
// Thread-safe. Start, Get, List, Cancel and Delete block on local disk; Wait does not.
//
// Errors: OPERATION_NOT_FOUND, STATE_INVALID, STORE_BUSY, QUOTA_EXCEEDED (100 of a tenant).
class Operations {
 public:
  using Result = OperationResult;
  using Body = std::function<Result(OperationRun&)>;

  Operations(HubAccess& hubs, store::Engine& engine, crypto::Random& random, Clock& clock,
             const PageTokens& tokens);
  ~Operations();

  // How it ends besides by its end. What finishes the work that a commit has begun cannot be
  // cancelled: it begins again for as long as the store refuses it for now, and after another
  // error with the next start. The body of what has to clean up is also run when it was cancelled
  // before.
  enum class Ends { kWhenCancelled, kWhenCleanedUp, kWhenDone };
  // Before ResumeAll and Start. `kind` is on disk.
  void AddKind(const std::string& kind, Body body, Ends ends = Ends::kWhenCancelled);
  // Starts again what a crash or a stop interrupted.
  absl::Status ResumeAll();
  absl::StatusOr<google::longrunning::Operation> Start(const HubEntry& hub, const std::string& kind,
                                                       const std::string& argument);
  absl::StatusOr<google::longrunning::Operation> StartOfServer(const std::string& kind,
                                                               const std::string& argument);
  // The same for what only looks. It runs also where the store does not take its record, which is
  // then kept in memory alone: who looks for damage must be served by a damaged store.
  absl::StatusOr<google::longrunning::Operation> StartLookOfServer(const std::string& kind,
                                                                   const std::string& argument);
  // Whether an operation of that kind runs, or waits for its turn.
  bool IsUnderWay(const std::string& kind);
  bool IsUnderWay(const std::string& kind, HubUid hub);
  struct Started {
    google::longrunning::Operation operation;
    store::Sequence sequence = 0;  // of the commit
  };
  // Starts it in the same commit as `writes`, on the hub's partition: both or neither.
  absl::StatusOr<Started> StartWith(const HubEntry& hub, const std::string& kind,
                                    const std::string& argument, store::WriteSet writes);

  absl::StatusOr<google::longrunning::Operation> Get(
      const AdmittedCall& call, const google::longrunning::GetOperationRequest& request);
  absl::StatusOr<google::longrunning::ListOperationsResponse> List(
      const AdmittedCall& call, const google::longrunning::ListOperationsRequest& request);
  absl::StatusOr<google::protobuf::Empty> Cancel(
      const AdmittedCall& call, const google::longrunning::CancelOperationRequest& request);
  absl::Status CancelNamed(const std::string& name);
  absl::StatusOr<google::protobuf::Empty> Delete(
      const AdmittedCall& call, const google::longrunning::DeleteOperationRequest& request);
  Task<absl::StatusOr<google::longrunning::Operation>> Wait(
      const CallContext& context, const google::longrunning::WaitOperationRequest& request);

  // Wakes waits whose time has passed, and has begun again what the store had refused; to be called
  // about every 100 ms.
  void Tick();
  size_t running() {
    absl::MutexLock lock(&mutex_);
    return running_.size();
  }
  // Interrupts what runs, to be resumed by the next start, and wakes whoever waits.
  void Stop();

 private:
  class Run;
  struct Kind {
    Body body;
    Ends ends;
  };
  struct Later {
    absl::Time at;  // monotonic
    std::shared_ptr<Run> run;
  };
  struct Found {
    HubEntryPtr hub;
    storage::v1::OperationRecord record;
  };

  absl::StatusOr<Found> Find(const std::string& name);
  absl::StatusOr<HubEntryPtr> FindHub(const std::string& tenant, const std::string& hub);
  absl::StatusOr<storage::v1::OperationRecord> Load(const HubEntry& hub, const std::string& id);
  // As it is, though the store has not taken its end yet.
  absl::StatusOr<storage::v1::OperationRecord> Show(const HubEntry& hub, const std::string& id);
  // Changes the record, again if somebody else changed it meanwhile.
  absl::Status Change(const HubEntry& hub, const std::string& id,
                      const std::function<void(storage::v1::OperationRecord&)>& edit);
  storage::v1::OperationRecord NewRecord(const std::string& kind, const std::string& argument);
  // Writes `record` along with `writes`.
  absl::StatusOr<store::Sequence> Keep(const HubEntry& hub,
                                       const storage::v1::OperationRecord& record,
                                       store::WriteSet writes);
  // Nobody fills the queue of all; what was taken in runs.
  absl::Status CheckRoom(const std::string& tenant);
  // The pointer's work; whether there is any left, or nobody knows.
  bool Resume(HubUid uid, const storage::v1::PendingOperation& pointer, bool is_restoring);
  absl::Status DropPointer(HubUid hub, const std::string& id);
  void Enqueue(HubEntryPtr hub, const storage::v1::OperationRecord& record);
  // To a worker, which executes it, or writes what it has ended with.
  void Hand(const std::shared_ptr<Run>& run);
  void Execute(const std::shared_ptr<Run>& run, const Kind& kind);
  // Writes the result, or keeps it and tries again later.
  void End(const std::shared_ptr<Run>& run, std::shared_ptr<const Result> result);
  // What it has ended with and the store has not taken; null: nothing.
  std::shared_ptr<const Result> UnwrittenEnd(const std::string& id);
  // It no longer runs.
  void Leave(const Run& run);
  absl::Status Finish(const HubEntry& hub, const std::string& id, const Result& result);
  void PruneOfServer();

  HubAccess& hubs_;
  store::Engine& engine_;
  crypto::Random& random_;
  Clock& clock_;
  const PageTokens& tokens_;
  ChangeSignal changed_;
  UnstoredOperations unstored_;
  std::map<std::string, Kind> kinds_;
  std::atomic<bool> stopping_{false};
  absl::Mutex mutex_;
  absl::flat_hash_map<std::string, std::shared_ptr<Run>> running_ ABSL_GUARDED_BY(mutex_);  // by id
  absl::flat_hash_map<std::string, std::shared_ptr<const Result>> unwritten_
      ABSL_GUARDED_BY(mutex_);                        // by id
  std::vector<Later> later_ ABSL_GUARDED_BY(mutex_);  // of those, what waits for the store
  Worker worker_, server_worker_;
};

}  // namespace cmkstore::service
