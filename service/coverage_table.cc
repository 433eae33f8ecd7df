#include "service/coverage_table.h"

#include <fnmatch.h>

#include "absl/strings/match.h"
#include "absl/strings/str_split.h"

namespace cmkstore::service {
namespace {

using enum Protection;
using Key = CoverageKeyKind;

constexpr absl::string_view kEnvelope = "KC-XAES-256-GCM (key-committing AES-256-GCM)";
// Files in which the rows of all tables stand.
constexpr absl::string_view kRowFiles = "shards/shard-*/*.sst shards/shard-*/*.log";

// Copies of the shards' directory, while a backup, a check or a restore is under way: their files
// are of the classes that they have there.
constexpr absl::string_view kCopiesOfShards[] = {"cut-backup/", "cut-verify/", "restore-online/",
                                                 "restore-offline/"};

constexpr CoverageClass kClasses[] = {
    {"documents", "Documents: content, content type, labels, collection and document ids",
     "rows of the hub's shard: table files and write-ahead log", kSealed, Key::kDek, kEnvelope,
     "10", ""},
    {"deleted-names", "Names of deleted documents, for those who follow the change feed",
     "rows of the hub's shard", kSealed, Key::kDek, kEnvelope, "02", ""},
    {"display-names", "Display names of the hub and of its projects",
     "inside the records of the hub (catalog) and of its projects", kSealed, Key::kDek, kEnvelope,
     "40 11", ""},
    {"kept-answers", "First answers to calls with a request_id, kept for 24 hours",
     "rows of the hub's shard", kSealed, Key::kDek, kEnvelope, "14", ""},
    {"hub-secrets", "The hub's name key and index key", "one row of the hub's shard", kSealed,
     Key::kDek, kEnvelope, "13", ""},
    {"search-index", "The search index: words, names, labels and text of the documents",
     "the hub's index file, its log and journal, and a file beside them while it is rebuilt",
     kSealed, Key::kIndexKey, "XAES-256-GCM, page by page", "",
     "indexes/*.index indexes/*.index-wal indexes/*.index-journal indexes/*.index.rebuild*"},
    {"data-keys", "The hub's data keys (DEKs)", "rows of the hub's shard", kWrapped, Key::kVaultKey,
     "as listed with each key", "12", ""},
    {"blind-names", "Collection ids, document ids and request ids, where they are keys of rows",
     "keys of rows, the change feed, RocksDB's list of files", kBlinded, Key::kNameKey,
     "HMAC-SHA-256, cut to 128 bits", "10 02 14 17", "shards/shard-*/MANIFEST-*"},
    {"backup",
     "Backups, copies of the data directory or of its disk, and the server's own copies of its "
     "shards while it backs up, checks or restores",
     "where the operator keeps them; cut-backup/, cut-verify/, restore-online/ and "
     "restore-offline/ in the data directory",
     kSealed, Key::kAsCopied, "as of the class that is copied", "", ""},

    {"resource-names", "Ids and uids of tenants, hubs and projects; purged hubs keep theirs",
     "catalog rows, records of projects, keys of rows", kReadable, Key::kNone, "", "40 11 42",
     "shards/shard-*/MANIFEST-*"},
    {"hub-facts",
     "Facts of hubs and projects: state, times, revisions, URL of the vault, name of the key, "
     "identity, allowed address ranges",
     "catalog rows, records of projects; while its key is changed, a row of the hub's shard",
     kReadable, Key::kNone, "", "40 11 19", ""},
    {"envelope-headers", "Of each sealed value: its length, revision and the id of its data key",
     "before the sealed bytes", kReadable, Key::kNone, "", "02 10 11 13 14 40", ""},
    {"change-feed",
     "How many documents were written when, which projects were changed, ids of deleted ones, and "
     "when the hub was restored",
     "rows of the hub's shard", kReadable, Key::kNone, "", "01 02 03", ""},
    {"answer-expiry", "When kept answers expire", "rows of the hub's shard", kReadable, Key::kNone,
     "", "17", ""},
    {"operations", "Long-running operations: kind, times, progress, reason of a failure",
     "rows of the hub's shard and of the catalog", kReadable, Key::kNone, "", "15 42", ""},
    {"usage", "What the hub used by the hour: numbers of calls, documents and bytes",
     "rows of the hub's shard; of a purged hub, catalog rows", kReadable, Key::kNone, "", "18 48",
     ""},
    {"backup-manifests",
     "What a backup says of itself: its time, names of its files, tenants, and the versions of "
     "vault keys that it needs",
     "the backups' directory", kReadable, Key::kNone, "", "", ""},
    {"purge-receipts", "Receipts of purges: when, and the ids of the keys that were destroyed",
     "catalog rows, and files in the receipts' directory", kReadable, Key::kNone, "", "40", ""},
    {"lock-receipts", "Receipts of locks: when and why a hub was locked, and what was wiped",
     "catalog rows", kReadable, Key::kNone, "", "44", ""},
    {"store-files", "RocksDB's own files: names, sizes and key bounds of its files, settings, log",
     "the shards' directories", kReadable, Key::kNone, "", "",
     "shards/shard-*/MANIFEST-* shards/shard-*/CURRENT shards/shard-*/IDENTITY "
     "shards/shard-*/OPTIONS-* shards/shard-*/LOCK shards/shard-*/LOG shards/shard-*/LOG.old.* "
     "shards/shard-*/*.dbtmp"},
    {"log", "The server's log: ids of tenants and hubs, URLs of vaults, reasons and times",
     "standard error, and whatever collects it", kReadable, Key::kNone, "", "", ""},
    {"memory", "Memory of the server that the system pages out: never a key, perhaps a document",
     "the machine's swap, if it has any; core dumps are switched off", kReadable, Key::kNone, "",
     "", ""},
    {"client-files", "What cmkctl writes for whoever runs it: exports, fetched content, reports",
     "that person's machine", kReadable, Key::kNone, "", "", ""},

    {"audit", "Audit records: room is set aside, none is written by this version",
     "rows of the hub's shard", kNothingOfTheCustomer, Key::kNone, "", "16", ""},
    {"store-facts",
     "Version of the format, number of shards, the key of page tokens; a restore that is under way",
     "two catalog rows", kNothingOfTheCustomer, Key::kNone, "", "41 43", ""},
    {"high-water", "How far each shard's log was acknowledged", "the shards' directories",
     kNothingOfTheCustomer, Key::kNone, "", "", "shards/shard-*/HIGH_WATER"},
    {"platform-key", "The key of platform-managed hubs; opens nothing of a customer-managed one",
     "platform.key in the data directory", kNothingOfTheCustomer, Key::kNone, "", "",
     "platform.key"},
    {"configuration", "Configuration, certificates and credentials of the server",
     "files that the operator provides", kNothingOfTheCustomer, Key::kNone, "", "", ""},
    {"temporary-files",
     "Temporary files: the index makes none; a small file is replaced through one beside it",
     "beside platform.key and the files of dev/, as NAME.new", kNothingOfTheCustomer, Key::kNone,
     "", "", "*.new dev/*.new"},
    {"development", "Certificates and tokens of --development, which is not for production",
     "dev/ in the data directory", kNothingOfTheCustomer, Key::kNone, "", "", "dev/*"},
};

constexpr OutsideResource kOutside[] = {
    {"Azure Cosmos DB, AI Search and Storage that you deploy or connect yourself",
     "What your applications store there: indexes of your own, files, fine-tuning data",
     "That resource's own encryption setting; this hub's key is not passed down to it",
     "Set a customer-managed key on each of them"},
    {"Managed resource group of the classic arrangement (Cosmos DB, AI Search, Storage)",
     "Metadata of hubs that were created in that arrangement",
     "The key that was given when such a hub was created; this service stores nothing there",
     "Re-create the hub here; remove the old one"},
    {"Azure AI services, Azure OpenAI and other connected resources",
     "Prompts, files and models that are kept by those services",
     "That resource's own encryption setting; this hub's key is not passed down to it",
     "Set a customer-managed key on each of them"},
    {"Compute instance: OS disk", "The system of a compute instance and what is installed on it",
     "Microsoft-managed keys; a customer's key is not supported",
     "Keep no data there; delete instances that are not used"},
    {"Compute instance: scratch (temporary) disk", "Working files of notebooks and jobs",
     "Microsoft-managed keys, and only if the workspace was created with hbi_workspace = true; a "
     "customer's key is not supported",
     "Create the workspace with hbi_workspace = true; the flag cannot be changed later"},
    {"Serverless compute: OS disk", "The system of a node while a job runs, deleted with it",
     "Microsoft-managed keys; a customer's key is not supported", "Keep no data there"},
    {"Serverless compute: temporary disk", "Working files of a job, deleted with the node",
     "Microsoft-managed keys, and only if the workspace was created with hbi_workspace = true; a "
     "customer's key is not supported",
     "Create the workspace with hbi_workspace = true; the flag cannot be changed later"},
    {"Diagnostic data that Azure Machine Learning collects",
     "Names of workspaces, jobs and data sets, environment variables of jobs",
     "Microsoft-managed keys; not collected if the workspace was created with hbi_workspace = true",
     "Create the workspace with hbi_workspace = true; keep secrets out of job settings"},
    {"Clients of this service", "What applications and persons read and keep",
     "Whatever those machines use", "Their own disk encryption"},
};

}  // namespace

std::span<const CoverageClass> CoverageClasses() { return kClasses; }
std::span<const OutsideResource> OutsideResources() { return kOutside; }

absl::string_view KeyText(CoverageKeyKind key) {
  switch (key) {
    case Key::kNone: return "";
    case Key::kVaultKey: return "the hub's key in the vault";
    case Key::kDek: return "the hub's data key (DEK)";
    case Key::kNameKey: return "the hub's name key, sealed under its DEK";
    case Key::kIndexKey: return "the hub's index key, sealed under its DEK";
    case Key::kAsCopied: return "as of the class that is copied";
  }
  return "";
}

std::vector<absl::string_view> ClassesOfFile(std::string path) {
  for (const absl::string_view copy : kCopiesOfShards) {
    if (absl::StartsWith(path, copy)) path.replace(0, copy.size(), "shards/");
  }
  const auto matches = [&path](absl::string_view patterns) {
    for (const absl::string_view one : absl::StrSplit(patterns, ' ', absl::SkipEmpty())) {
      if (fnmatch(std::string(one).c_str(), path.c_str(), FNM_PATHNAME) == 0) return true;
    }
    return false;
  };
  const bool rows = matches(kRowFiles);
  std::vector<absl::string_view> ids;
  for (const CoverageClass& one : kClasses) {
    if (matches(one.files) || (rows && !one.tables.empty())) ids.push_back(one.id);
  }
  return ids;
}

}  // namespace cmkstore::service
