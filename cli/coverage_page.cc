#include "cli/coverage_page.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "cli/coverage_words.h"
#include "cli/output.h"
#include "cli/printable.h"
#include "cli/resource_names.h"
#include "cli/vault_key_url.h"

namespace cmkstore::cli {
namespace {

constexpr char kHead[] = R"(<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<style>
@page { size: A4; margin: 16mm 15mm 18mm }
* { box-sizing: border-box }
body { font: 14px/1.45 "Segoe UI", "Helvetica Neue", Arial, "Liberation Sans", sans-serif; color: #1a1a1a;
       background: #fff; margin: 0 auto; padding: 2.5em 2em 3em; max-width: 62em }
h1 { font-size: 1.7em; line-height: 1.2; margin: 0 0 .2em }
h2 { font-size: 1.15em; margin: 2em 0 .3em; padding-top: .5em; border-top: 2px solid #1a1a1a }
p { margin: .4em 0 .8em; max-width: 48em }
.lead { font-size: 1.1em; overflow-wrap: anywhere; margin: 0 0 1.2em }
.statement { border: 1px solid #1a1a1a; border-left-width: 6px; padding: .8em 1em; margin: 1.2em 0; max-width: none }
.warning { border-style: double; border-width: 4px }
table { border-collapse: collapse; width: 100%; table-layout: fixed; margin: .6em 0 }
th, td { text-align: left; vertical-align: top; padding: .4em .7em .4em 0; border-bottom: 1px solid #bbb;
         overflow-wrap: anywhere; hyphens: auto }
thead th { border-bottom: 1.5px solid #1a1a1a; font-size: .88em; vertical-align: bottom }
tbody th { font-weight: 400 }
.facts th { width: 13em; font-weight: 600 }
.dated td:last-child { white-space: nowrap }
.signatures { display: grid; grid-template-columns: repeat(2, 1fr); gap: 2.2em 3em; margin-top: 1.5em; break-inside: avoid }
.line { border-bottom: 1px solid #1a1a1a; height: 2.4em }
footer { margin-top: 2.5em; font-size: .85em; color: #444; border-top: 1px solid #bbb; padding-top: .6em }
@media print { body { font-size: 9pt; padding: 0; max-width: none } tr { break-inside: avoid }
               h2 { break-after: avoid } h2 { margin-top: 1.4em } th, td { padding: .28em .6em .28em 0 }
               footer { margin-top: 1.2em } thead { display: table-header-group } }
</style>
)";

struct Column {
  absl::string_view head;
  int width_percent;
};

class Page {
 public:
  void Add(absl::string_view markup) { absl::StrAppend(&html_, markup); }
  void Heading(absl::string_view text, absl::string_view explanation) {
    absl::StrAppend(&html_, "<h2>", EscapedForHtml(text), "</h2>\n<p>", EscapedForHtml(explanation),
                    "</p>\n");
  }
  void Fact(absl::string_view name, absl::string_view value) {
    if (value.empty()) return;
    absl::StrAppend(&html_, "<tr><th scope=\"row\">", name, "</th><td>", EscapedForHtml(value),
                    "</td></tr>\n");
  }
  void BeginTable(absl::string_view label, const std::vector<Column>& columns,
                  absl::string_view style = "") {
    absl::StrAppend(&html_, "<table class=\"", style, "\" aria-label=\"", label,
                    "\">\n<thead><tr>");
    for (const Column& one : columns) {
      absl::StrAppend(&html_, "<th scope=\"col\" style=\"width:", one.width_percent, "%\">",
                      one.head, "</th>");
    }
    absl::StrAppend(&html_, "</tr></thead>\n<tbody>\n");
  }
  void Row(const std::vector<std::string>& cells) {
    absl::StrAppend(&html_, "<tr><th scope=\"row\">", EscapedForHtml(cells.front()), "</th>");
    for (size_t i = 1; i < cells.size(); ++i) {
      absl::StrAppend(&html_, "<td>", EscapedForHtml(cells[i]), "</td>");
    }
    absl::StrAppend(&html_, "</tr>\n");
  }
  void EndTable() { absl::StrAppend(&html_, "</tbody></table>\n"); }
  std::string Finish() && { return std::move(html_); }

 private:
  std::string html_ = kHead;
};

std::string Day(const google::protobuf::Timestamp& time) { return TimeText(time).substr(0, 10); }

void AddFacts(const v1::EncryptionCoverage& coverage, Page& page) {
  const bool platform = coverage.encryption().has_platform_managed();
  const std::string hub = coverage.name().substr(0, coverage.name().rfind('/'));
  page.Add(
      absl::StrCat("<title>Encryption coverage of hub ", EscapedForHtml(ShortName(hub)),
                   "</title>\n</head>\n<body>\n<header>\n<h1>Encryption coverage report</h1>\n",
                   "<p class=\"lead\">Hub <strong>", EscapedForHtml(ShortName(hub)),
                   "</strong></p>\n</header>\n<main>\n"));
  page.Add("<table class=\"facts\" aria-label=\"The hub and this report\"><tbody>\n");
  page.Fact("Display name", coverage.display_name());
  page.Fact("Resource name", hub);
  page.Fact("Unique id", coverage.hub_uid());
  page.Fact("State", v1::Hub::State_Name(coverage.hub_state()));
  page.Fact("Kind of key", platform ? "Platform-managed: a key of the service"
                                    : "Customer-managed: a key in the customer's own vault");
  if (!platform) {
    const v1::CustomerManagedKey& key = coverage.encryption().customer_managed();
    page.Fact("Key as configured",
              absl::StrCat(KeyText(coverage.encryption()),
                           key.key_version().empty() ? " (follows the newest version)" : ""));
  }
  if (coverage.keys_size() > 0) {
    page.Fact("Key version in use", coverage.keys(coverage.keys_size() - 1).wrapped_by());
  }
  page.Fact("Hub created", TimeText(coverage.hub_create_time()));
  page.Fact("Report made", absl::StrCat(TimeText(coverage.report_time()), ", by cmkstored version ",
                                        coverage.server_version()));
  page.Add("</tbody></table>\n");
  page.Add(absl::StrCat("<p class=\"statement", platform ? " warning" : "", "\">",
                        EscapedForHtml(CoverageStatement(coverage)), "</p>\n"));
}

void AddKeys(const v1::EncryptionCoverage& coverage, Page& page) {
  page.Heading(
      "1. Keys of the hub",
      "Each data key exists on disk only as it was wrapped by the key named beside it. The "
      "sealing one protects what is written now; the others only open what they sealed.");
  page.BeginTable("Keys of the hub", {{"Generation", 12},
                                      {"Wrapped by", 42},
                                      {"Algorithm", 16},
                                      {"In use since", 14},
                                      {"Seals", 16}});
  for (const v1::CoverageKey& key : coverage.keys()) {
    page.Row({absl::StrCat(key.generation()), key.wrapped_by(), key.algorithm(),
              Day(key.create_time()), key.seals() ? "yes" : "no, only opens"});
  }
  page.EndTable();
}

void AddProtected(const v1::EncryptionCoverage& coverage, Page& page) {
  const bool platform = coverage.encryption().has_platform_managed();
  page.Heading(platform ? "2. Under the service's platform key" : "2. Under the customer's key",
               "Every class of stored bytes that nobody can read without the keys above.");
  page.BeginTable("Classes under the key",
                  {{"What", 27},
                   {"Where", 22},
                   {"Under which key", 18},
                   {"How, by which algorithm", 21},
                   {"Since", 12}},
                  "dated");
  for (const v1::CoverageEntry& entry : coverage.entries()) {
    if (SectionOf(entry) != CoverageSection::kUnderTheKey) continue;
    page.Row({entry.what(), entry.where(), entry.key(),
              absl::StrCat(ProtectionText(entry), ": ", entry.algorithm()),
              Day(entry.since_time())});
  }
  page.EndTable();
}

void AddOthers(const v1::EncryptionCoverage& coverage, CoverageSection section,
               absl::string_view heading, absl::string_view explanation, Page& page) {
  page.Heading(heading, explanation);
  page.BeginTable(heading.substr(3), {{"What", 62}, {"Where", 38}});
  for (const v1::CoverageEntry& entry : coverage.entries()) {
    if (SectionOf(entry) == section) page.Row({entry.what(), entry.where()});
  }
  page.EndTable();
}

void AddOutside(const v1::EncryptionCoverage& coverage, Page& page) {
  page.Heading("5. Resources that the hub's key does not reach",
               "They are not part of this service. A key given for a hub is not passed down to "
               "them; each needs its own decision.");
  page.BeginTable("Resources that the key does not reach",
                  {{"Resource", 24}, {"Holds", 24}, {"Under which key", 28}, {"What to do", 24}});
  for (const v1::ResourceOutsideCoverage& one : coverage.resources_outside()) {
    page.Row({one.resource(), one.holds(), one.key(), one.remedy()});
  }
  page.EndTable();
}

}  // namespace

std::string CoverageStatement(const v1::EncryptionCoverage& coverage) {
  int under_key = 0, readable = 0;
  for (const v1::CoverageEntry& entry : coverage.entries()) {
    under_key += SectionOf(entry) == CoverageSection::kUnderTheKey;
    readable += SectionOf(entry) == CoverageSection::kReadable;
  }
  if (coverage.encryption().has_platform_managed()) {
    return absl::StrCat("This hub is NOT under a customer's key. Its content is sealed in ",
                        under_key,
                        " classes under a key of the service, which the service can use at any "
                        "time and no customer can withdraw.");
  }
  return absl::StrCat(
      "All content that this service stores for the hub (", under_key,
      " classes, section 2) is readable only with the customer's key; when the customer withdraws "
      "the key, the service stops reading it within 45 seconds. ",
      readable, " classes of facts about it are readable without the key (section 3). ",
      coverage.resources_outside_size(),
      " kinds of resources beside this service are not under this key (section 5).");
}

std::string EscapedForHtml(absl::string_view text) {
  return absl::StrReplaceAll(
      Printable(text),
      {{"&", "&amp;"}, {"<", "&lt;"}, {">", "&gt;"}, {"\"", "&quot;"}, {"'", "&#39;"}});
}

std::string CoveragePage(const v1::EncryptionCoverage& coverage) {
  Page page;
  AddFacts(coverage, page);
  AddKeys(coverage, page);
  AddProtected(coverage, page);
  AddOthers(coverage, CoverageSection::kReadable, "3. Readable without the key",
            "Facts about the content, not the content: the service needs them to work while the "
            "key is away. They are stored as they are.",
            page);
  AddOthers(coverage, CoverageSection::kNothingOfTheCustomer, "4. Holds nothing of the customer",
            "Stored beside the above; listed so that every file is accounted for.", page);
  AddOutside(coverage, page);
  page.Heading(
      "6. Review",
      "This report states how the software stores data. It was read, and compared with the "
      "vault's own list of keys and permissions, by:");
  page.Add(R"(<div class="signatures">
<div><div class="line"></div>Name and role</div>
<div><div class="line"></div>Name and role</div>
<div><div class="line"></div>Date and signature</div>
<div><div class="line"></div>Date and signature</div>
</div>
</main>
)");
  page.Add(absl::StrCat("<footer>", EscapedForHtml(coverage.name()), ", ",
                        EscapedForHtml(TimeText(coverage.report_time())), ", cmkstored ",
                        EscapedForHtml(coverage.server_version()),
                        ". Times are UTC. The report describes the hub as it was at that time."
                        "</footer>\n</body>\n</html>\n"));
  return std::move(page).Finish();
}

}  // namespace cmkstore::cli
