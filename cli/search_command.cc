#include <algorithm>
#include <cstdlib>
#include <memory>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cli/commands.h"
#include "cli/number_checks.h"
#include "cli/output.h"
#include "cli/printable.h"
#include "cli/resource_names.h"
#include "cli/snippet.h"
#include "cli/table.h"
#include "cmkstore/v1/search_service.grpc.pb.h"

namespace cmkstore::cli {
namespace {

struct SearchFlags {
  std::string parent, query, filter, order_by, page_token;
  std::vector<std::string> facets;
  int page_size = 20;
  int required = 0;
  uint64_t min_sequence = 0;
  bool all = false;
};

Emphasis EmphasisNow() {
  const bool wanted = StdoutIsTerminal() && std::getenv("NO_COLOR") == nullptr;
  return wanted ? Emphasis::kTerminal : Emphasis::kNone;
}

void ShowHits(const v1::SearchResponse& page) {
  for (const v1::SearchHit& hit : page.hits()) {
    std::string line = Printable(ShortName(hit.document().name()));
    if (hit.score() != 0) absl::StrAppend(&line, absl::StrFormat("  (score %.2f)", hit.score()));
    PrintLine(line);
    if (!hit.snippet().empty()) {
      PrintLine(absl::StrCat("    ", SnippetLine(hit, EmphasisNow())));
    }
  }
}

void ShowUnreadable(const v1::SearchResponse& page) {
  for (const std::string& name : page.unreadable()) {
    PrintLine(absl::StrCat(Printable(ShortName(name)), "  (does not open: cmkctl get says why)"));
  }
}

void ShowFacets(const v1::SearchResponse& page) {
  for (const v1::Facet& facet : page.facets()) {
    PrintLine("");
    Table table({facet.field(), "DOCUMENTS"});
    for (const v1::FacetValue& value : facet.values()) {
      table.Add({value.value().empty() ? "(none)" : value.value(), absl::StrCat(value.count())});
    }
  }
}

// What is required must not be missing only because the index is behind, and whoever asks from
// another process than the one that wrote has no sequence to wait for.
grpc::Status WaitForAllWrites(const Connection& connection, v1::SearchService::Stub& stub,
                              v1::SearchRequest& request) {
  v1::SearchRequest probe = request;
  probe.set_page_size(1);
  v1::SearchResponse page;
  const grpc::Status status = stub.Search(connection.NewCall().get(), probe, &page);
  request.set_min_sequence(std::max(request.min_sequence(), page.last_sequence()));
  return status;
}

int ReportTooFew(int64_t found, int required, ErrorStyle style) {
  return Report(grpc::Status(grpc::StatusCode::NOT_FOUND,
                             absl::StrCat("at least ", required, " documents are required, ", found,
                                          " are found")),
                style);
}

int Search(const Invocation& invocation, const Connection& connection, const SearchFlags& flags) {
  const auto parent = FullName(connection.tenant(), flags.parent, Depth::kHub, Depth::kProject);
  if (!parent.ok()) return ReportUsage(parent.status(), invocation.style());
  v1::SearchRequest request;
  request.set_parent(*parent);
  request.set_query(flags.query);
  request.set_filter(flags.filter);
  request.set_order_by(flags.order_by);
  request.set_page_size(flags.page_size);
  request.set_page_token(flags.page_token);
  request.set_min_sequence(flags.min_sequence);
  *request.mutable_facets() = {flags.facets.begin(), flags.facets.end()};
  const auto stub = v1::SearchService::NewStub(connection.channel());
  if (flags.required > 0) {
    const grpc::Status status = WaitForAllWrites(connection, *stub, request);
    if (!status.ok()) return Report(status, invocation.style());
  }
  int shown = 0;
  for (;;) {
    v1::SearchResponse page;
    const grpc::Status status = stub->Search(connection.NewCall().get(), request, &page);
    if (!status.ok()) return Report(status, invocation.style());
    shown += page.hits_size();
    request.set_page_token(page.next_page_token());
    const bool last = request.page_token().empty() || !flags.all;
    if (invocation.json) {
      PrintJson(page);
    } else {
      ShowHits(page);
      ShowUnreadable(page);
      if (last) {
        ShowFacets(page);
        const bool behind = page.indexed_sequence() < page.last_sequence();
        const char* inexact = behind ? "about " : "at least ";
        PrintLine(absl::StrCat("\n", shown, " of ", page.total_is_exact() ? "" : inexact,
                               page.total_size(), " documents"));
        if (behind) {
          // No difference is told: a restore leaves a wide gap between the numbers of changes.
          PrintLine(
              absl::StrCat("the index is behind: what was written last may not be found yet "
                           "(the last change in it has the number ",
                           page.indexed_sequence(), ", that of the hub ", page.last_sequence(),
                           "; a restore skips numbers)"));
        }
        if (!request.page_token().empty()) {
          PrintLine(absl::StrCat("more: the same with --page-token ", request.page_token(),
                                 ", or all with --all"));
        }
      }
    }
    if (!last) continue;
    // What does not open is found, but does not count where all are seen.
    const bool all_seen = flags.page_token.empty() && page.next_page_token().empty();
    const int64_t found =
        all_seen ? shown : std::max<int64_t>(shown, static_cast<int64_t>(page.total_size()));
    if (found < flags.required) return ReportTooFew(found, flags.required, invocation.style());
    return kOk;
  }
}

}  // namespace

void AddSearchCommand(CLI::App& app, Invocation& invocation) {
  const auto flags = std::make_shared<SearchFlags>();
  CLI::App* search = app.add_subcommand("search", "Find documents of a hub or a project");
  search->footer(
      "\nExamples:\n"
      "  cmkctl search h1 'retail assistant'                    both words\n"
      "  cmkctl search h1 '\"golden set\" OR nightly*'            a phrase, or a prefix\n"
      "  cmkctl search h1/retail f1 --filter 'labels.stage = \"prod\" AND content.metrics.f1 > "
      "0.9'\n"
      "  cmkctl search h1 '' --facet labels.team --facet collection --order-by 'update_time desc'\n"
      "  cmkctl search h1 retail --json | jq -r '.hits[].document.name'\n"
      "Words are joined by AND; AND, OR, NOT and parentheses work; an empty query finds all.");
  search->add_option("PARENT", flags->parent, "HUB or HUB/PROJECT")->required();
  search->add_option("QUERY", flags->query, "Words, \"phrases\", prefix*; empty: all");
  search->add_option("--filter", flags->filter,
                     "AIP-160 over project, collection, document, labels.KEY, create_time, "
                     "update_time, content.PATH");
  search->add_option("--facet", flags->facets, "project, collection or labels.KEY; repeatable")
      ->expected(1)
      ->take_all();
  search->add_option("--order-by", flags->order_by, "relevance, or fields, each with `desc`");
  search->add_option("--page-size", flags->page_size, "1 to 1000")
      ->check(WholeNumber(1, 1000))
      ->capture_default_str();
  search->add_option("--page-token", flags->page_token, "From the page before");
  search->add_flag("--all", flags->all, "All pages");
  search
      ->add_option("--min-sequence", flags->min_sequence,
                   "Wait until the index holds this write (`put --json` shows its sequence)")
      ->check(WholeNumber(0));
  search
      ->add_option("--require", flags->required,
                   "Wait until the index holds all writes so far; exit code 3 if fewer than this "
                   "are found, however many of them are shown; at most 10000, as a search counts")
      ->check(WholeNumber(1, 10'000));
  OnRun(search, invocation, [&invocation, flags](const Connection& connection) {
    return Search(invocation, connection, *flags);
  });
}

}  // namespace cmkstore::cli
