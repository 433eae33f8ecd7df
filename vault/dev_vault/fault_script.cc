#include "vault/dev_vault/fault_script.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace cmkstore::dev_vault {
namespace {

using nlohmann::json;

constexpr size_t kMaxFaults = 1000;
constexpr absl::Duration kLongestHang = absl::Minutes(10);

const std::set<std::string> kFields = {
    "operation",   "vault",      "path",    "skip",       "count",        "kind",         "status",
    "code",        "inner_code", "message", "body",       "content_type", "headers",      "merge",
    "retry_after", "delay_ms",   "hang_ms", "pad_base64", "chunked",      "zero_before_n"};

void Pad(json& value) {
  if (!value.is_string()) return;
  std::string text = value.get<std::string>();
  text.append((4 - text.size() % 4) % 4, '=');
  value = text;
}

void PutZeroBefore(json& value) {
  std::string bytes;
  if (!value.is_string() || !absl::WebSafeBase64Unescape(value.get<std::string>(), &bytes)) return;
  value = absl::WebSafeBase64Escape(std::string(1, '\0') + bytes);
}

std::string KindOf(const json& from, Fault::Kind& kind) {
  const std::string word = from.value("kind", from.contains("status") ? "answer" : "alter");
  if (word == "answer") {
    kind = Fault::Kind::kAnswer;
  } else if (word == "alter") {
    kind = Fault::Kind::kAlter;
  } else if (word == "reset") {
    kind = Fault::Kind::kReset;
  } else if (word == "truncate") {
    kind = Fault::Kind::kTruncate;
  } else if (word == "hang") {
    kind = Fault::Kind::kHang;
  } else {
    return absl::StrCat("kind \"", word, "\" is none of answer, alter, reset, truncate, hang");
  }
  return "";
}

}  // namespace

std::string FaultScript::Parse(const json& from, Entry& entry) {
  for (const auto& [field, value] : from.items()) {
    if (!kFields.contains(field)) return absl::StrCat("unknown field \"", field, "\"");
  }
  if (const auto operation = from.find("operation"); operation != from.end()) {
    if (operation->is_array()) {
      entry.operations = operation->get<std::vector<std::string>>();
    } else if (!operation->get<std::string>().empty()) {
      entry.operations = {operation->get<std::string>()};
    }
  }
  entry.vault = from.value("vault", "");
  try {
    if (from.contains("path")) entry.path.emplace(from["path"].get<std::string>());
  } catch (const std::regex_error&) {
    return "path is no regular expression";
  }
  entry.skip = from.value("skip", 0);
  entry.count = from.value("count", 1);
  Fault& fault = entry.fault;
  if (std::string wrong = KindOf(from, fault.kind); !wrong.empty()) return wrong;
  const int status = from.value("status", 0);
  // The word "status": 0 was always allowed to mean: only the delay.
  if (status == 0 && fault.kind == Fault::Kind::kAnswer) fault.kind = Fault::Kind::kAlter;
  if (status != 0 && (status < 200 || status > 599)) return "status must be 200 to 599";
  if (from.contains("code") || from.contains("inner_code")) {
    fault.answer =
        ErrorAnswer(status, from.value("code", "Forbidden"),
                    from.value("message", "a scripted fault"), from.value("inner_code", ""));
  }
  fault.answer.status = status;
  if (from.contains("body")) {
    const json& body = from["body"];
    fault.answer.body = body.is_string() ? body.get<std::string>() : body.dump();
  }
  fault.answer.content_type = from.value("content_type", fault.answer.content_type);
  const json headers = from.value("headers", json::object());
  for (const auto& [name, value] : headers.items()) {
    fault.answer.headers.emplace_back(name, value.get<std::string>());
  }
  if (const std::string seconds = from.value("retry_after", ""); !seconds.empty()) {
    fault.answer.headers.emplace_back("Retry-After", seconds);
  }
  fault.delay = absl::Milliseconds(from.value("delay_ms", 0));
  fault.hang = std::min(kLongestHang, absl::Milliseconds(from.value("hang_ms", 600'000)));
  if (from.contains("merge")) fault.merge = from["merge"].dump();
  fault.pad_base64 = from.value("pad_base64", false);
  fault.zero_before_n = from.value("zero_before_n", false);
  fault.chunked = from.value("chunked", false);
  entry.source = from.dump();
  return "";
}

std::string FaultScript::Replace(const json& script) {
  std::deque<Entry> entries;
  for (const json& one : script.value("faults", json::array())) {
    if (entries.size() >= kMaxFaults) return absl::StrCat("more than ", kMaxFaults, " faults");
    Entry entry;
    if (const std::string wrong = Parse(one, entry); !wrong.empty()) {
      return absl::StrCat("faults[", entries.size(), "]: ", wrong);
    }
    entries.push_back(std::move(entry));
  }
  absl::MutexLock lock(&mutex_);
  entries_ = std::move(entries);
  ++generation_;
  return "";
}

json FaultScript::Remaining() const {
  absl::MutexLock lock(&mutex_);
  json faults = json::array();
  for (const Entry& entry : entries_) {
    json one = json::parse(entry.source);
    one["skip"] = entry.skip;
    one["count"] = entry.count;
    faults.push_back(std::move(one));
  }
  return json{{"faults", faults}};
}

std::optional<Fault> FaultScript::Next(const std::string& operation, const std::string& vault,
                                       const std::string& path) {
  absl::MutexLock lock(&mutex_);
  for (auto entry = entries_.begin(); entry != entries_.end(); ++entry) {
    const auto& operations = entry->operations;
    if (!operations.empty() &&
        std::find(operations.begin(), operations.end(), operation) == operations.end()) {
      continue;
    }
    if (!entry->vault.empty() && entry->vault != vault) continue;
    if (entry->path.has_value() && !std::regex_search(path, *entry->path)) continue;
    if (entry->skip > 0) {
      --entry->skip;
      continue;
    }
    Fault fault = entry->fault;
    if (entry->count > 0 && --entry->count == 0) entries_.erase(entry);
    return fault;
  }
  return std::nullopt;
}

bool FaultScript::Wait(absl::Duration duration) {
  absl::MutexLock lock(&mutex_);
  const int64_t began = generation_;
  const auto over = [this, began]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return stopped_ || generation_ != began;
  };
  return !mutex_.AwaitWithTimeout(absl::Condition(&over), duration);
}

void FaultScript::Stop() {
  absl::MutexLock lock(&mutex_);
  stopped_ = true;
}

Answer Alter(const Fault& fault, Answer answer) {
  for (const auto& header : fault.answer.headers) answer.headers.push_back(header);
  if (!fault.answer.body.empty()) answer.body = fault.answer.body;
  json body = json::parse(answer.body, nullptr, false);
  if (!body.is_object()) return answer;
  if (!fault.merge.empty()) body.merge_patch(json::parse(fault.merge));
  json& material = body.contains("key") ? body["key"] : body;
  if (fault.zero_before_n && material.contains("n")) PutZeroBefore(material["n"]);
  if (fault.pad_base64) {
    for (const char* name : {"n", "e", "value"}) {
      if (material.contains(name)) Pad(material[name]);
    }
  }
  answer.body = body.dump();
  return answer;
}

}  // namespace cmkstore::dev_vault
