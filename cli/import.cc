#include "cli/import.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/errors.h"
#include "base/file.h"
#include "cli/batch_sender.h"
#include "cli/document_line.h"
#include "cli/import_checkpoint.h"
#include "cli/output.h"
#include "cli/printable.h"
#include "cli/progress.h"
#include "cli/resource_names.h"
#include "cmkstore/v1/hub_service.grpc.pb.h"

namespace cmkstore::cli {
namespace {

constexpr int kMaxBatchItems = 200;
constexpr size_t kMaxBatchBytes = 4u << 20;
constexpr size_t kMaxListedBadLines = 1000;
constexpr char kDefaultProject[] = "default";

class Importer {
 public:
  Importer(const Invocation& invocation, const Connection& connection, const ImportOptions& options,
           const std::string& target, std::istream& input, uint64_t file_bytes)
      : invocation_(invocation),
        options_(options),
        file_bytes_(file_bytes),
        reader_(input),
        sender_(connection, options.create_projects,
                [this](const grpc::Status& status) { TellWait(status); }),
        checkpoint_(NewImport(target)),
        checkpoint_path_(options.file == "-" ? "" : CheckpointPath(options.file)) {
    batch_.set_parent(options.hub);
    TakeUp();
    taken_ = reader_.place();
    begin_ = taken_.offset;
    progress_.emplace(file_bytes - std::min(begin_, file_bytes));
    // Before the first batch: a run that takes up one that was killed in it must know its request
    // id.
    Note();
  }

  int Run() {
    grpc::Status status;
    std::string line;
    while (status.ok()) {
      const LineReader::Result result = reader_.Next(line);
      if (result == LineReader::Result::kFailed || StandardInputFailed()) {
        return Unreadable("cannot read ", "");
      }
      if (result == LineReader::Result::kEnd) {
        if (reader_.place().offset < file_bytes_) return Unreadable("", " has become shorter");
        break;
      }
      if (result == LineReader::Result::kTooLong) {
        Refuse(reader_.place().line,
               absl::StrCat("is longer than ", LineReader::kMaxLineBytes, " bytes"));
      } else if (line.find_first_not_of(" \t\r") != std::string::npos) {
        status = Take(line);
      }
      taken_ = reader_.place();
    }
    if (status.ok()) status = Flush();
    progress_->Clear();
    if ((status.ok() || NothingIsInDoubt()) && !checkpoint_path_.empty()) {
      unlink(checkpoint_path_.c_str());
      checkpoint_path_.clear();
    }
    Summarize(status);
    if (!status.ok()) return Report(status, invocation_.style());
    return checkpoint_.bad == 0 ? kOk : kInvalidInput;
  }

 private:
  void TellWait(const grpc::Status& status) {
    progress_->Clear();
    std::fprintf(stderr, "cmkctl: waiting, for up to a minute: %s\n",
                 Printable(status.error_message()).c_str());
  }

  // An error that is none of the line's own: once its project is made, all of the file goes in.
  grpc::Status Stop(const grpc::Status& status, uint64_t line, const std::string& name) {
    stopped_at_ = line;
    stopped_for_ = ShortName(name);
    return status;
  }

  // Nothing of the very first batch can be stored, by this run or one before: there is nothing to
  // go on with.
  bool NothingIsInDoubt() const {
    return checkpoint_.place.line == 0 && !taken_up_ && !sender_.in_doubt();
  }

  bool StandardInputFailed() const { return options_.file == "-" && std::ferror(stdin) != 0; }

  // The batch in hand is not sent: what follows its last line is not known.
  int Unreadable(absl::string_view before, absl::string_view after) {
    progress_->Clear();
    if (NothingIsInDoubt() && !checkpoint_path_.empty()) unlink(checkpoint_path_.c_str());
    return ReportUsage(StateInvalid(absl::StrCat(before, options_.file, after, " after line ",
                                                 reader_.place().line, "; ", checkpoint_.stored,
                                                 " documents are stored")),
                       invocation_.style());
  }

  // Goes to where an earlier run of the same import came.
  void TakeUp() {
    const auto text = checkpoint_path_.empty() ? std::nullopt : ReadFile(checkpoint_path_);
    if (!text.has_value() || options_.restart) return;
    const auto before = ParseCheckpoint(*text);
    if (!before.has_value() || before->target != checkpoint_.target) return;
    if (!reader_.GoTo(before->place)) {
      std::fprintf(stderr, "%s has changed since the import began; importing all of it\n",
                   options_.file.c_str());
      return;
    }
    checkpoint_ = *before;
    taken_up_ = true;
    resumed_after_ = before->place.line;
    if (resumed_after_ == 0) return;
    std::fprintf(stderr,
                 "going on after line %llu; %llu documents are stored and %llu bad lines reported "
                 "already\n",
                 static_cast<unsigned long long>(resumed_after_),
                 static_cast<unsigned long long>(before->stored),
                 static_cast<unsigned long long>(before->bad));
  }

  // Adds a line to the batch, which is sent first if the line does not fit or names one of its
  // documents again.
  grpc::Status Take(absl::string_view line) {
    absl::StatusOr<DocumentLine> parsed = ParseDocumentLine(line);
    if (!parsed.ok()) {
      Refuse(reader_.place().line, parsed.status().message());
      return grpc::Status::OK;
    }
    const std::string& project = !options_.project.empty() ? options_.project
                                 : parsed->project.empty() ? kDefaultProject
                                                           : parsed->project;
    v1::Document document = std::move(parsed->document);
    document.set_name(absl::StrCat(options_.hub, "/projects/", project, "/collections/",
                                   parsed->collection, "/documents/", parsed->id));
    const size_t bytes = document.ByteSizeLong();
    grpc::Status status = sender_.EnsureProject(options_.hub, project);
    if (!status.ok()) return Stop(status, reader_.place().line, document.name());
    if (batch_.writes_size() == kMaxBatchItems || batch_bytes_ + bytes > kMaxBatchBytes ||
        names_.contains(document.name())) {
      status = Flush();
      if (!status.ok()) return status;
    }
    if (batch_.writes().empty()) {
      batch_.set_request_id(BatchRequestId(checkpoint_, reader_.place().line));
    }
    names_.insert(document.name());
    lines_.push_back(reader_.place().line);
    batch_bytes_ += bytes;
    *batch_.add_writes()->mutable_upsert() = std::move(document);
    return status;
  }

  // Sends the batch; writes that the server refuses are reported, and the rest is sent again
  // without them.
  grpc::Status Flush() {
    grpc::Status status;
    while (!batch_.writes().empty()) {
      status = sender_.Send(batch_);
      if (status.ok()) break;
      if (IsUsedRequestId(status)) {
        // The file has grown since this batch was last sent: it is another one now.
        batch_.set_request_id(BatchRequestId(NewImport(""), 0));
        continue;
      }
      const auto refused = WriteOf(status);
      if (!refused.has_value() || *refused >= lines_.size()) return status;
      const int place = static_cast<int>(*refused);
      if (status.error_code() != grpc::StatusCode::INVALID_ARGUMENT) {
        return Stop(status, lines_[*refused], batch_.writes(place).upsert().name());
      }
      Refuse(lines_[*refused], RefusalText(status));
      batch_.mutable_writes()->DeleteSubrange(place, 1);
      lines_.erase(lines_.begin() + place);
      status = grpc::Status::OK;
    }
    checkpoint_.stored += static_cast<uint64_t>(batch_.writes_size());
    stored_now_ += static_cast<uint64_t>(batch_.writes_size());
    batch_.clear_writes();
    lines_.clear();
    names_.clear();
    batch_bytes_ = 0;
    Note();
    progress_->Show(checkpoint_.place.offset - begin_, stored_now_);
    return status;
  }

  // Everything before the line in hand is stored or reported.
  void Note() {
    checkpoint_.place = taken_;
    if (checkpoint_path_.empty() ||
        WriteFileDurably(checkpoint_path_, FormatCheckpoint(checkpoint_))) {
      return;
    }
    progress_->Clear();
    std::fprintf(stderr, "cannot write %s: if this run is interrupted, the next begins anew\n",
                 checkpoint_path_.c_str());
    // One of before would have the next run believe that what it says is all that is stored.
    if (unlink(checkpoint_path_.c_str()) != 0 && errno != ENOENT) {
      std::fprintf(stderr, "cannot remove %s either: run the next with --restart\n",
                   checkpoint_path_.c_str());
    }
    checkpoint_path_.clear();
  }

  void Refuse(uint64_t line, absl::string_view why) {
    ++checkpoint_.bad;
    progress_->Clear();
    std::fprintf(stderr, "%s:%llu: %s\n", options_.file.c_str(),
                 static_cast<unsigned long long>(line), Printable(why).c_str());
    if (bad_lines_.size() < kMaxListedBadLines) {
      bad_lines_.push_back({{"line", line}, {"message", std::string(why)}});
    }
  }

  void Summarize(const grpc::Status& status) {
    const double seconds = absl::ToDoubleSeconds(progress_->elapsed());
    if (invocation_.json) {
      const nlohmann::json summary = {{"stored", checkpoint_.stored},
                                      {"bad", checkpoint_.bad},
                                      {"bad_lines", bad_lines_},
                                      {"resumed_after_line", resumed_after_},
                                      {"complete", status.ok()},
                                      {"stopped_at_line", stopped_at_},
                                      {"seconds", seconds}};
      return PrintLine(summary.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace));
    }
    const std::string resumed =
        resumed_after_ == 0 ? "" : absl::StrCat(" in all, resumed after line ", resumed_after_);
    PrintLine(absl::StrFormat("%d documents stored, %d bad lines%s, %.1f s, %.0f documents/s",
                              checkpoint_.stored, checkpoint_.bad, resumed, seconds,
                              static_cast<double>(stored_now_) / std::max(seconds, 0.001)));
    if (status.ok()) return;
    if (stopped_at_ != 0) {
      std::fprintf(stderr, "%s:%llu: %s cannot be stored, for the reason below\n",
                   options_.file.c_str(), static_cast<unsigned long long>(stopped_at_),
                   stopped_for_.c_str());
    }
    std::fprintf(stderr, "stopped after line %llu; the same command %s\n",
                 static_cast<unsigned long long>(checkpoint_.place.line),
                 checkpoint_path_.empty() ? "begins anew" : "goes on there");
  }

  const Invocation& invocation_;
  const ImportOptions& options_;
  const uint64_t file_bytes_;  // when the import began; 0: not known
  LineReader reader_;
  BatchSender sender_;
  ImportCheckpoint checkpoint_;
  std::string checkpoint_path_;  // empty: none
  std::optional<Progress> progress_;
  FilePlace taken_;  // after the last line that is in the batch, stored or reported
  uint64_t begin_ = 0;
  bool taken_up_ = false;  // what an earlier run has left
  uint64_t resumed_after_ = 0;
  uint64_t stored_now_ = 0;
  uint64_t stopped_at_ = 0;  // the line that an error is about, with its document; 0: none
  std::string stopped_for_;
  v1::BatchWriteDocumentsRequest batch_;
  size_t batch_bytes_ = 0;
  std::set<std::string> names_;
  std::vector<uint64_t> lines_;  // of the batch's writes
  nlohmann::json bad_lines_ = nlohmann::json::array();
};

// Where the documents go: a hub of the same name on another server, or one that was made anew, is
// another target.
grpc::Status FindTarget(const Connection& connection, const ImportOptions& options,
                        std::string& target) {
  v1::GetHubRequest request;
  request.set_name(options.hub);
  const auto context = connection.NewCall();
  context->set_wait_for_ready(true);
  v1::Hub hub;
  const grpc::Status status =
      v1::HubService::NewStub(connection.channel())->GetHub(context.get(), request, &hub);
  target = absl::StrCat(options.hub, " ", hub.uid(), " ", options.project);
  // Who may only write to a project does not see its hub, whose name has to do then.
  return status.error_code() == grpc::StatusCode::PERMISSION_DENIED ? grpc::Status::OK : status;
}

}  // namespace

int Import(const Invocation& invocation, const Connection& connection,
           const ImportOptions& options) {
  if (options.file == "-") return Importer(invocation, connection, options, "", std::cin, 0).Run();
  const auto refuse = [&](const std::string& why) {
    return ReportUsage(StateInvalid(why), invocation.style());
  };
  std::error_code error;
  const auto type = std::filesystem::status(options.file, error).type();
  if (type == std::filesystem::file_type::fifo || type == std::filesystem::file_type::character) {
    return refuse(absl::StrCat(options.file,
                               " is no file that could be read again; give - for "
                               "the file and send it to standard input"));
  }
  std::ifstream input(options.file, std::ios::binary | std::ios::ate);
  const int claim = open(options.file.c_str(), O_RDONLY | O_CLOEXEC);
  const auto give_up_claim = absl::MakeCleanup([claim] { close(claim); });
  if (!input || claim < 0 || type == std::filesystem::file_type::directory) {
    return refuse(absl::StrCat("cannot read ", options.file));
  }
  // Both would note in one place how far they came. A file system without locks has to do.
  if (flock(claim, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
    return refuse(absl::StrCat(options.file,
                               " is being imported already; wait for that import, or "
                               "give - for the file and send it to standard input"));
  }
  const uint64_t bytes = static_cast<uint64_t>(input.tellg());
  input.seekg(0);
  std::string target;
  const grpc::Status found = FindTarget(connection, options, target);
  if (!found.ok()) return Report(found, invocation.style());
  return Importer(invocation, connection, options, target, input, bytes).Run();
}

}  // namespace cmkstore::cli
