#include "service/operations.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/errors.h"
#include "base/log.h"
#include "base/status_macros.h"
#include "service/apply_blocking.h"
#include "service/grpc_status.h"
#include "service/operation_codec.h"
#include "service/restore_mark.h"
#include "store/tables.h"

namespace cmkstore::service {
namespace {

using google::longrunning::Operation;
using storage::v1::OperationRecord;

constexpr size_t kThreads = 4;
constexpr size_t kThreadsOfTenant = 2;
constexpr size_t kMaxQueued = 10'000;
constexpr size_t kMaxStarted = 9'000;  // so that what is started at one time finds room
constexpr size_t kMaxOfTenant = 100;
constexpr absl::Duration kStoreAgain = absl::Seconds(1);
constexpr absl::Duration kSaveEvery = absl::Seconds(1);
constexpr absl::string_view kConflict = "OPERATION_CHANGED";  // never leaves this file

}  // namespace

class Operations::Run final : public OperationRun {
 public:
  Run(Operations& operations, HubEntryPtr hub, const OperationRecord& record)
      : operations_(operations),
        hub_(std::move(hub)),
        id_(record.operation()),
        kind_(record.kind()),
        argument_(record.argument()) {}

  const HubEntryPtr& hub() const override { return hub_; }
  const std::string& argument() const override { return argument_; }
  bool cancel_requested() const override { return cancelled_; }
  bool stopping() const override { return operations_.stopping_; }
  const std::string& id() const { return id_; }
  const std::string& kind() const { return kind_; }
  // Its body has come to an end; the result is about to be kept.
  bool ended() const { return ended_; }
  void End() { ended_ = true; }
  absl::Status CheckGoOn() const override {
    if (operations_.stopping_)
      return Cancelled("the server stops; it goes on after the next start");
    return cancelled_ ? Cancelled("it was cancelled") : absl::OkStatus();
  }
  void Progress(uint64_t done, uint64_t total) override {
    const absl::Time now = operations_.clock_.MonotonicNow();
    if (now < next_save_) return;
    next_save_ = now + kSaveEvery;
    const absl::Status saved = operations_.Change(*hub_, id_, [&](OperationRecord& record) {
      record.set_progress_done(done);
      record.set_progress_total(total);
    });
    if (saved.ok()) return;
    Log(LogLevel::kWarning, "operation_progress_lost",
        {{"operation", OperationNameOf(*hub_, id_)}});
  }
  void Cancel() { cancelled_ = true; }

 private:
  Operations& operations_;
  const HubEntryPtr hub_;
  const std::string id_, kind_, argument_;
  std::atomic<bool> cancelled_{false}, ended_{false};
  absl::Time next_save_ = absl::InfinitePast();
};

Operations::Operations(HubAccess& hubs, store::Engine& engine, crypto::Random& random, Clock& clock,
                       const PageTokens& tokens)
    : hubs_(hubs),
      engine_(engine),
      random_(random),
      clock_(clock),
      tokens_(tokens),
      worker_(WorkerOptions{.name = "operations",
                            .threads = kThreads,
                            .max_queued = kMaxQueued,
                            .threads_of_one = kThreadsOfTenant}),
      server_worker_(WorkerOptions{.name = "server-ops", .threads = 1, .max_queued = kMaxQueued}) {}

Operations::~Operations() { Stop(); }

void Operations::Stop() {
  stopping_ = true;
  changed_.WakeAll();
  worker_.Stop();
  server_worker_.Stop();
}

void Operations::AddKind(const std::string& kind, Body body, Ends ends) {
  kinds_[kind] = {std::move(body), ends};
}

bool Operations::IsUnderWay(const std::string& kind) {
  absl::MutexLock lock(&mutex_);
  return std::any_of(running_.begin(), running_.end(), [&kind](const auto& one) {
    return one.second->kind() == kind && !one.second->ended();
  });
}

bool Operations::IsUnderWay(const std::string& kind, HubUid hub) {
  absl::MutexLock lock(&mutex_);
  return std::any_of(running_.begin(), running_.end(), [&](const auto& one) {
    return one.second->kind() == kind && one.second->hub()->uid == hub && !one.second->ended();
  });
}

absl::Status Operations::CheckRoom(const std::string& tenant) {
  absl::MutexLock lock(&mutex_);
  if (running_.size() >= kMaxStarted) return StoreBusy();
  const auto of_tenant = std::count_if(running_.begin(), running_.end(), [&](const auto& one) {
    return one.second->hub()->record.tenant() == tenant;
  });
  if (static_cast<size_t>(of_tenant) < kMaxOfTenant) return absl::OkStatus();
  return QuotaExceeded("too many operations of the tenant are under way", absl::Seconds(10));
}

absl::StatusOr<HubEntryPtr> Operations::FindHub(const std::string& tenant, const std::string& hub) {
  if (tenant.empty() && hub.empty()) return ServerEntry();
  CMK_ASSIGN_OR_RETURN(const TenantId parsed, TenantId::Parse(tenant));
  CMK_ASSIGN_OR_RETURN(const HubId id, HubId::Parse(hub));
  return hubs_.directory().Find(parsed, id);
}

void Operations::Enqueue(HubEntryPtr hub, const OperationRecord& record) {
  const auto kind = kinds_.find(record.kind());
  if (kind == kinds_.end()) {
    Log(LogLevel::kError, "operation_of_unknown_kind", {{"kind", record.kind()}});
    return;  // a later version's: it stays pending
  }
  auto run = std::make_shared<Run>(*this, std::move(hub), record);
  if (record.cancel_requested() && kind->second.ends != Ends::kWhenDone) run->Cancel();
  {
    absl::MutexLock lock(&mutex_);
    running_[run->id()] = run;
  }
  Hand(run);
}

void Operations::Hand(const std::shared_ptr<Run>& run) {
  const Kind& kind = kinds_.at(run->kind());
  Worker& worker = IsServer(*run->hub()) ? server_worker_ : worker_;
  const std::string& tenant = run->hub()->record.tenant();
  const auto go_on = [this, run, &kind, result = UnwrittenEnd(run->id())] {
    return result == nullptr ? Execute(run, kind) : End(run, result);
  };
  // Full or stopping: the next start resumes it.
  if (!worker.TryRunFor(tenant, go_on)) Leave(*run);
}

void Operations::Execute(const std::shared_ptr<Run>& run, const Kind& kind) {
  const bool is_cancelled = run->cancel_requested() && kind.ends == Ends::kWhenCancelled;
  Result result = nullptr;
  if (stopping_ || is_cancelled) {
    result = run->CheckGoOn();
  } else {
    result = kind.body(*run);
  }
  if (stopping_ && absl::IsCancelled(result.status())) {
    Leave(*run);
  } else if (kind.ends == Ends::kWhenDone && IsRefusedForNow(result.status())) {
    absl::MutexLock lock(&mutex_);
    later_.push_back({clock_.MonotonicNow() + kStoreAgain, run});
  } else if (kind.ends == Ends::kWhenDone && !result.ok()) {
    Log(LogLevel::kError, "operation_cut_off",
        {{"operation", OperationNameOf(*run->hub(), run->id())},
         {"reason", ReasonOf(result.status())},
         {"detail", std::string(result.status().message())}});
    Leave(*run);
  } else {
    run->End();  // before anybody is told that it is done, and starts what may not run beside it
    End(run, std::make_shared<const Result>(std::move(result)));
  }
}

void Operations::End(const std::shared_ptr<Run>& run, std::shared_ptr<const Result> result) {
  const absl::Status finished = Finish(*run->hub(), run->id(), *result);
  if (finished.ok()) return Leave(*run);
  Log(LogLevel::kError, "operation_end_not_written",
      {{"operation", OperationNameOf(*run->hub(), run->id())}, {"reason", ReasonOf(finished)}});
  // A shard with damage may take no writes; whoever asked for a check of it is told all the same.
  const bool may_pass = IsRefusedForNow(finished) || HasReason(finished, "STORE_CORRUPT");
  if (!may_pass || stopping_) return Leave(*run);
  {
    absl::MutexLock lock(&mutex_);
    unwritten_[run->id()] = std::move(result);
    later_.push_back({clock_.MonotonicNow() + kStoreAgain, run});
  }
  changed_.Notify(run->hub()->uid);
}

void Operations::Leave(const Run& run) {
  {
    absl::MutexLock lock(&mutex_);
    running_.erase(run.id());
    unwritten_.erase(run.id());
  }
  changed_.Notify(run.hub()->uid);
}

void Operations::Tick() {
  changed_.ExpireBefore(clock_.WallNow());
  std::vector<std::shared_ptr<Run>> due;
  {
    absl::MutexLock lock(&mutex_);
    const absl::Time now = clock_.MonotonicNow();
    const auto first_due = std::partition(later_.begin(), later_.end(),
                                          [now](const Later& one) { return one.at > now; });
    for (auto one = first_due; one != later_.end(); ++one) due.push_back(std::move(one->run));
    later_.erase(first_due, later_.end());
  }
  for (const std::shared_ptr<Run>& run : due) Hand(run);
}

absl::Status Operations::Finish(const HubEntry& hub, const std::string& id, const Result& result) {
  CMK_RETURN_IF_ERROR(
      Change(hub, id, [&](OperationRecord& record) { SetEnd(hub, result, record); }));
  Log(LogLevel::kInfo, "operation_ended",
      {{"operation", OperationNameOf(hub, id)},
       {"reason", result.ok() ? "OK" : ReasonOf(result.status())}});
  if (IsServer(hub) && unstored_.Find(id).has_value()) return absl::OkStatus();
  if (IsServer(hub)) PruneOfServer();
  return DropPointer(hub.uid, id);
}

absl::StatusOr<OperationRecord> Operations::Show(const HubEntry& hub, const std::string& id) {
  CMK_ASSIGN_OR_RETURN(OperationRecord record, Load(hub, id));
  const std::shared_ptr<const Result> result = UnwrittenEnd(id);
  if (result != nullptr && !record.done()) SetEnd(hub, *result, record);
  return record;
}

std::shared_ptr<const Operations::Result> Operations::UnwrittenEnd(const std::string& id) {
  absl::MutexLock lock(&mutex_);
  const auto found = unwritten_.find(id);
  return found == unwritten_.end() ? nullptr : found->second;
}

absl::StatusOr<OperationRecord> Operations::Load(const HubEntry& hub, const std::string& id) {
  if (auto unstored = IsServer(hub) ? unstored_.Find(id) : std::nullopt; unstored.has_value()) {
    return *std::move(unstored);
  }
  CMK_ASSIGN_OR_RETURN(auto record, store::OperationsTable(engine_).Get(hub.partition, id));
  if (!record.has_value()) return NotFound("operation");
  return *std::move(record);
}

absl::Status Operations::Change(const HubEntry& hub, const std::string& id,
                                const std::function<void(OperationRecord&)>& edit) {
  const auto touch = [&](OperationRecord& record) {
    edit(record);
    record.set_update_time_micros(absl::ToUnixMicros(clock_.WallNow()));
  };
  if (IsServer(hub) && unstored_.Change(id, touch)) return absl::OkStatus();
  for (;;) {
    CMK_ASSIGN_OR_RETURN(const OperationRecord before, Load(hub, id));
    OperationRecord record = before;
    touch(record);
    store::WriteSet writes;
    store::OperationsTable::RequireUnchanged(writes, id, before,
                                             MakeError(absl::StatusCode::kAborted, kConflict, ""));
    store::OperationsTable::Put(writes, id, record);
    // With two commits, a crash between them would have a restore that has ended begin anew.
    const bool ends = record.done() && !before.done();
    if (ends && record.kind() == kRestoreKind) store::RestoreTable::Delete(writes);
    const absl::Status applied = ApplyBlocking(engine_, hub.partition, std::move(writes)).status();
    if (!HasReason(applied, kConflict)) return applied;
  }
}

absl::Status Operations::CancelNamed(const std::string& name) {
  CMK_ASSIGN_OR_RETURN(const Found found, Find(name));
  if (found.record.done()) return absl::OkStatus();
  if (const auto kind = kinds_.find(found.record.kind());
      kind != kinds_.end() && kind->second.ends == Ends::kWhenDone) {
    return StateInvalid("what it deletes is out of reach already; it runs to its end");
  }
  const std::string& id = found.record.operation();
  CMK_RETURN_IF_ERROR(Change(*found.hub, id, [](OperationRecord& record) {
    if (!record.done()) record.set_cancel_requested(true);
  }));
  absl::MutexLock lock(&mutex_);
  if (const auto run = running_.find(id); run != running_.end()) run->second->Cancel();
  return absl::OkStatus();
}

}  // namespace cmkstore::service
