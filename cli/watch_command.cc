#include <algorithm>
#include <memory>

#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "cli/commands.h"
#include "cli/number_checks.h"
#include "cli/output.h"
#include "cli/printable.h"
#include "cli/resource_names.h"
#include "cmkstore/v1/document_service.grpc.pb.h"

namespace cmkstore::cli {
namespace {

constexpr absl::Duration kReconnectAfter = absl::Seconds(1);

struct WatchFlags {
  std::string parent;
  uint64_t after = 0;
  uint64_t count = 0;
  bool from_now = false;
};

// A stream of changes that goes on where it was cut, as long as the server once answered. It comes
// back with what then stands in the files of token and certificates.
class Watch {
 public:
  Watch(const Invocation& invocation, const Connection& connection, const WatchFlags& flags,
        const std::string& parent)
      : invocation_(invocation),
        connection_(connection),
        wanted_(flags.count),
        give_up_(absl::Now() + connection.timeout()) {
    request_.set_parent(parent);
    request_.set_after_sequence(flags.after);
    request_.set_from_now(flags.from_now);
  }

  int Run() {
    for (;;) {
      const grpc::Status status = Follow();
      if (IsComplete()) return kOk;
      if (absl::Now() >= give_up_ && status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED) {
        // As was asked for, unless there is still no server.
        const bool connected = connection_.channel()->GetState(false) == GRPC_CHANNEL_READY;
        return connected || cut_.ok() ? kOk : Report(cut_, invocation_.style());
      }
      if (!answered_ || !IsCut(status)) return Report(status, invocation_.style());
      Tell(status);
      absl::SleepFor(std::min(kReconnectAfter, give_up_ - absl::Now()));
      if (absl::Now() >= give_up_) return Report(status, invocation_.style());
      absl::StatusOr<Connection> again = Connection::Open(connection_.options());
      if (!again.ok()) return ReportUsage(again.status(), invocation_.style());
      connection_ = *std::move(again);
    }
  }

 private:
  bool IsComplete() const { return lost_ || (wanted_ != 0 && shown_ >= wanted_); }

  // By a server that goes, a network, or what passes: a vault that is not reached, a busy store.
  static bool IsCut(const grpc::Status& status) {
    return status.ok() || status.error_code() == grpc::StatusCode::UNAVAILABLE;
  }

  // Once for each cause, not at each try.
  void Tell(const grpc::Status& status) {
    const std::string why = status.ok() ? "the server ended it" : status.error_message();
    if (why == cut_.error_message()) return;
    cut_ = grpc::Status(grpc::StatusCode::UNAVAILABLE, why);
    std::fprintf(stderr, "cmkctl: the stream was cut (%s); going on after sequence %llu\n",
                 Printable(why).c_str(),
                 static_cast<unsigned long long>(request_.after_sequence()));
  }

  grpc::Status Follow() {
    const auto stub = v1::DocumentService::NewStub(connection_.channel());
    const auto context = connection_.NewCall(give_up_ - absl::Now());
    const auto stream = stub->WatchDocuments(context.get(), request_);
    for (v1::WatchDocumentsResponse part; stream->Read(&part);) {
      answered_ = true;
      cut_ = grpc::Status::OK;
      for (const v1::DocumentChange& change : part.changes()) {
        if (IsComplete()) break;
        Show(change);
      }
      lost_ = !FlushOutput();
      request_.set_from_now(false);
      request_.set_after_sequence(part.sequence());
      if (IsComplete()) context->TryCancel();
    }
    return stream->Finish();
  }

  void Show(const v1::DocumentChange& change) {
    ++shown_;
    if (invocation_.json) return PrintJson(change);
    const std::string& name = change.kind() == v1::DocumentChange::PROJECT_DELETED
                                  ? change.project()
                                  : change.document().name();
    std::string line =
        absl::StrFormat("%-8d  %s  %-7s  %s", change.sequence(), TimeText(change.commit_time()),
                        v1::DocumentChange::Kind_Name(change.kind()), Printable(ShortName(name)));
    if (!change.reason().empty()) absl::StrAppend(&line, "  [", Printable(change.reason()), "]");
    PrintLine(line);
  }

  const Invocation& invocation_;
  Connection connection_;
  const uint64_t wanted_;  // 0: all
  const absl::Time give_up_;
  v1::WatchDocumentsRequest request_;
  uint64_t shown_ = 0;
  bool answered_ = false;
  bool lost_ = false;  // nobody takes what is printed
  grpc::Status cut_;   // why it was cut, since the last answer
};

}  // namespace

void AddWatchCommand(CLI::App& app, Invocation& invocation) {
  const auto flags = std::make_shared<WatchFlags>();
  CLI::App* watch = app.add_subcommand("watch", "Print changes as they are committed");
  watch->footer(
      "\nExamples:\n"
      "  cmkctl watch h1                    all changes since the feed's beginning, then new ones\n"
      "  cmkctl watch h1/retail --from-now\n"
      "  cmkctl watch h1 --after 1200 --json | jq -r .document.name\n"
      "  cmkctl watch h1 --timeout 1m       for a minute\n"
      "Goes on by itself after the server was restarted, without a gap, with the token and the "
      "certificates\nthat its files hold then. Ends with exit code 6 when the hub locks, with 7 if "
      "the time is over while\nthere is no server, with 4 when its token is refused.");
  watch->add_option("PARENT", flags->parent, "HUB or HUB/PROJECT")->required();
  CLI::Option* after =
      watch->add_option("--after", flags->after, "Changes after this sequence number")
          ->check(WholeNumber(0));
  watch->add_flag("--from-now", flags->from_now, "Only changes after the call")->excludes(after);
  watch->add_option("--count", flags->count, "End after so many changes")->check(WholeNumber(1));
  OnRun(watch, invocation, [&invocation, flags](const Connection& connection) -> int {
    const auto parent = FullName(connection.tenant(), flags->parent, Depth::kHub, Depth::kProject);
    if (!parent.ok()) return ReportUsage(parent.status(), invocation.style());
    return Watch(invocation, connection, *flags, *parent).Run();
  });
}

}  // namespace cmkstore::cli
