#include "tests/bench/service_cases.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "tests/bench/corpus.h"

namespace cmkstore::bench {
namespace {

// Spreads numbers over [0, size), each once in `size` steps.
uint64_t Scatter(uint64_t n, uint64_t size) { return n * 7919 % size; }

// A question and which documents must answer it.
struct Question {
  std::string text;
  std::string filter;
  uint64_t every;  // documents whose number is a multiple of it
};

}  // namespace

ServiceCases::ServiceCases(ServiceClient& client, const std::string& hub, uint64_t documents)
    : client_(client),
      hub_(hub),
      project_(client.ProjectName(hub)),
      next_new_(documents),
      settled_(documents) {
  for (uint64_t n = 0; n < documents; ++n) documents_.push_back(DocumentOf(project_, n));
  DefineReads();
  DefineWrites();
  DefineSearch();
}

std::string ServiceCases::Compare(const v1::Document& found) const {
  const uint64_t number = NumberOf(found.name());
  if (number >= documents_.size()) return "it is no document that was stored";
  const v1::Document& stored = documents_[number];
  if (found.name() != stored.name()) return "another name";
  return found.content() == stored.content() ? "" : "another content";
}

absl::Status ServiceCases::Settle() {
  constexpr uint64_t kReadBack = 20;  // of what was written since the last time
  CMK_RETURN_IF_ERROR(client_.WaitUntilIndexed(hub_));
  const uint64_t begin = std::exchange(settled_, next_new_);
  for (uint64_t i = 0; i < std::min(kReadBack, next_new_ - begin); ++i) {
    const uint64_t number = begin + (next_new_ - begin) * i / kReadBack;
    CMK_RETURN_IF_ERROR(
        client_.ReadOne(hub_, number, documents_[number % documents_.size()].content()));
  }
  return absl::OkStatus();
}

v1::Document ServiceCases::NewDocument() {
  const uint64_t number = next_new_++;
  v1::Document document = documents_[number % documents_.size()];
  document.set_name(NameOf(project_, number));
  return document;
}

void ServiceCases::DefineReads() {
  read_.prepare = [this](uint64_t n, auto& request, grpc::ClientContext& context) {
    client_.Authorize(context);
    request.set_name(documents_[Scatter(n, documents_.size())].name());
  };
  read_.start = [this](auto* context, const auto& request, auto* queue) {
    return client_.documents().AsyncGetDocument(context, request, queue);
  };
  read_.check = [this](uint64_t n, const v1::Document& found) {
    const std::string wrong = Compare(found);
    if (!wrong.empty()) return wrong;
    const bool same = found.name() == documents_[Scatter(n, documents_.size())].name();
    return same ? std::string() : std::string("another document");
  };

  batch_get_.prepare = [this](uint64_t n, auto& request, grpc::ClientContext& context) {
    client_.Authorize(context);
    request.set_parent(client_.HubName(hub_));
    request.clear_names();
    for (uint64_t i = 0; i < kDocumentsPerBatch; ++i) {
      request.add_names(documents_[Scatter(n * kDocumentsPerBatch + i, documents_.size())].name());
    }
  };
  batch_get_.start = [this](auto* context, const auto& request, auto* queue) {
    return client_.documents().AsyncBatchGetDocuments(context, request, queue);
  };
  batch_get_.check = [this](uint64_t n, const v1::BatchGetDocumentsResponse& response) {
    if (response.documents_size() != static_cast<int>(kDocumentsPerBatch)) {
      return std::string("documents are missing");
    }
    uint64_t next = n * kDocumentsPerBatch;
    for (const v1::Document& found : response.documents()) {
      if (std::string wrong = Compare(found); !wrong.empty()) return wrong;
      if (found.name() != documents_[Scatter(next++, documents_.size())].name()) {
        return std::string("another document");
      }
    }
    return std::string();
  };

  list_.prepare = [this](uint64_t n, auto& request, grpc::ClientContext& context) {
    client_.Authorize(context);
    request.set_parent(CollectionOf(project_, n));
    request.set_page_size(50);
  };
  list_.start = [this](auto* context, const auto& request, auto* queue) {
    return client_.documents().AsyncListDocuments(context, request, queue);
  };
  list_.check = [this](uint64_t n, const v1::ListDocumentsResponse& response) {
    if (response.documents_size() != 50) return std::string("not a full page");
    const std::string prefix = CollectionOf(project_, n) + "/documents/";
    for (const v1::Document& found : response.documents()) {
      if (found.name().compare(0, prefix.size(), prefix) != 0) return std::string("a stranger");
      // Other cases store documents behind those that are known.
      if (NumberOf(found.name()) >= documents_.size()) continue;
      if (std::string wrong = Compare(found); !wrong.empty()) return wrong;
    }
    return std::string();
  };
}

void ServiceCases::DefineWrites() {
  write_.prepare = [this](uint64_t, auto& request, grpc::ClientContext& context) {
    client_.Authorize(context);
    *request.mutable_document() = NewDocument();
    request.set_allow_missing(true);
  };
  write_.start = [this](auto* context, const auto& request, auto* queue) {
    return client_.documents().AsyncUpdateDocument(context, request, queue);
  };
  write_.check = [](uint64_t, const v1::Document& stored) {
    return stored.revision() == 1 && stored.sequence() > 0 ? std::string()
                                                           : std::string("not a new document");
  };

  update_ = write_;
  update_.prepare = [this](uint64_t n, auto& request, grpc::ClientContext& context) {
    client_.Authorize(context);
    *request.mutable_document() = documents_[Scatter(n, documents_.size())];
    request.set_allow_missing(true);
  };
  update_.check = [this](uint64_t n, const v1::Document& stored) {
    return stored.revision() > 1 &&
                   stored.name() == documents_[Scatter(n, documents_.size())].name()
               ? std::string()
               : std::string("not an update");
  };

  batch_write_.prepare = [this](uint64_t, auto& request, grpc::ClientContext& context) {
    client_.Authorize(context);
    request.set_parent(client_.HubName(hub_));
    request.clear_writes();
    for (uint64_t i = 0; i < kDocumentsPerBatch; ++i) {
      *request.add_writes()->mutable_upsert() = NewDocument();
    }
  };
  batch_write_.start = [this](auto* context, const auto& request, auto* queue) {
    return client_.documents().AsyncBatchWriteDocuments(context, request, queue);
  };
  batch_write_.check = [](uint64_t, const v1::BatchWriteDocumentsResponse& response) {
    if (response.documents_size() != static_cast<int>(kDocumentsPerBatch)) {
      return std::string("documents are missing");
    }
    for (const v1::Document& stored : response.documents()) {
      if (stored.revision() != 1) return std::string("not a new document");
    }
    return std::string();
  };
}

// Rare and common terms in turn. Only documents [0, documents) answer: those that other cases store
// have the content of a known one, and its numbers.
void ServiceCases::DefineSearch() {
  static const Question kQuestions[] = {
      {"only%", "", 0},
      {"common", "", 1},
      {"thousandth", "", 1000},
      {"tenth", "", 10},
      {"common AND thousandth", "", 1000},
      {"\"common only%\"", "", 0},
      {"tenth", "labels.team = \"team-0\"", 40},
      {"common OR tenth", "", 1},
  };
  const auto question_of = [](uint64_t n) -> const Question& {
    return kQuestions[n % std::size(kQuestions)];
  };
  const auto wanted = [this](uint64_t n) { return Scatter(n, documents_.size()); };
  search_.prepare = [this, question_of, wanted](uint64_t n, auto& request,
                                                grpc::ClientContext& context) {
    client_.Authorize(context);
    const Question& question = question_of(n);
    std::string text = question.text;
    if (const size_t at = text.find('%'); at != std::string::npos) {
      text.replace(at, 1, std::to_string(wanted(n)));
    }
    request.set_parent(client_.HubName(hub_));
    request.set_query(text);
    request.set_filter(question.filter);
    request.set_page_size(10);
  };
  search_.start = [this](auto* context, const auto& request, auto* queue) {
    return client_.searches().AsyncSearch(context, request, queue);
  };
  search_.check = [this, question_of, wanted](uint64_t n, const v1::SearchResponse& response) {
    const Question& question = question_of(n);
    if (response.hits().empty()) return std::string("nothing was found");
    for (const v1::SearchHit& hit : response.hits()) {
      const uint64_t number = NumberOf(hit.document().name()) % documents_.size();
      const bool right = question.every == 0 ? number == wanted(n) : number % question.every == 0;
      if (!right) return absl::StrCat("document ", number, " does not answer ", question.text);
    }
    const uint64_t known =
        question.every == 0 ? 1 : (documents_.size() + question.every - 1) / question.every;
    if (response.total_is_exact() && response.total_size() < known) {
      return absl::StrCat("only ", response.total_size(), " answer ", question.text);
    }
    return std::string();
  };
}

}  // namespace cmkstore::bench
