#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "service/coverage_table.h"

namespace cmkstore::service {
namespace {

constexpr char kIntroduction[] = R"(# What is under the customer's key, and what is not

`cmkctl coverage HUB` (KeyService.GetEncryptionCoverage) answers this page's tables for one hub, with the hub's own keys, their versions in
the vault and since when they are in use; `--html FILE` writes them as one page to print, sign and file, `--json` as JSON. It asks for the role
reader, auditor, key_admin, operator, contributor or owner, and goes on while the hub is locked or its vault does not answer.

This page is made from `service/coverage_table.cc`; a test compares the two, another walks a data directory after a busy run and fails when a
file or a table of the store has no row here.

## How the keys hang together

```
the hub's key in the customer's vault (RSA-OAEP-256; never leaves the vault)
 └ wraps ─ data key (DEK), one per generation; the newest seals, older ones only open
      ├ seals documents, names, display names, kept answers
      └ seals the hub's name key (blinds ids) and index key (seals the search index)
```

When the customer's vault refuses the key, the data keys, name key and index key are wiped from memory within 45 seconds (docs/key_lifecycle.md), and everything
in the first table is noise to whoever holds the disk, the service included. For a platform-managed hub the top of the picture is a key of this service:
then nothing is under a customer's key, and the report says so.

)";

std::string ProtectionText(const CoverageClass& one) {
  switch (one.protection) {
    case Protection::kSealed: return "sealed";
    case Protection::kWrapped: return "wrapped";
    case Protection::kBlinded: return "blinded";
    case Protection::kReadable: return "readable";
    case Protection::kNothingOfTheCustomer: return "none needed";
  }
  return "";
}

std::string PlaceText(const CoverageClass& one) {
  std::string text;
  const auto add = [&text](absl::string_view head, absl::string_view words) {
    const std::vector<absl::string_view> list = absl::StrSplit(words, ' ', absl::SkipEmpty());
    if (list.empty()) return;
    absl::StrAppend(&text, text.empty() ? "" : "; ", head, "`", absl::StrJoin(list, "` `"), "`");
  };
  add(one.tables.size() > 2 ? "tables " : "table ", one.tables);
  add("", one.files);
  return text;
}

void AddClasses(bool under_key, absl::string_view heading, std::string& page) {
  absl::StrAppend(&page, "## ", heading, "\n\n");
  if (under_key) {
    absl::StrAppend(&page,
                    "| class | what | where | found in | how | under which key | algorithm |\n",
                    "| --- | --- | --- | --- | --- | --- | --- |\n");
  } else {
    absl::StrAppend(&page,
                    "| class | what | where | found in | |\n| --- | --- | --- | --- | --- |\n");
  }
  for (const CoverageClass& one : CoverageClasses()) {
    if ((one.key != CoverageKeyKind::kNone) != under_key) continue;
    absl::StrAppend(&page, "| `", one.id, "` | ", one.what, " | ", one.where, " | ", PlaceText(one),
                    " |");
    if (under_key) {
      absl::StrAppend(&page, " ", ProtectionText(one), " | ", KeyText(one.key), " | ",
                      one.algorithm, " |");
    } else if (one.protection == Protection::kNothingOfTheCustomer) {
      absl::StrAppend(&page, " nothing of the customer |");
    } else {
      absl::StrAppend(&page, " readable |");
    }
    absl::StrAppend(&page, "\n");
  }
  absl::StrAppend(&page, "\n");
}

}  // namespace

std::string CoverageReference() {
  std::string page = kIntroduction;
  AddClasses(true, "Under the hub's key", page);
  AddClasses(false, "Not under the hub's key", page);
  absl::StrAppend(
      &page, "Since when: everything in the first table since the hub was created, under the data ",
      "key that was the\nnewest when it was written. Tables are those of docs/storage_format.md; ",
      "their rows stand in `shards/shard-*/*.sst` and\n`shards/shard-*/*.log`.\n\n",
      "## Resources that the hub's key does not reach\n\n",
      "A key given for a hub is not passed down to what stands beside it.\n\n",
      "| resource | holds | under which key | what to do |\n| --- | --- | --- | --- |\n");
  for (const OutsideResource& one : OutsideResources()) {
    absl::StrAppend(&page, "| ", one.resource, " | ", one.holds, " | ", one.key, " | ", one.remedy,
                    " |\n");
  }
  return page;
}

}  // namespace cmkstore::service
