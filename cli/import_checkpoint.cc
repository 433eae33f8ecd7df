#include "cli/import_checkpoint.h"

#include <nlohmann/json.hpp>
#include <random>

#include "absl/strings/str_format.h"

namespace cmkstore::cli {

using nlohmann::json;

std::string CheckpointPath(const std::string& import_file) {
  return import_file + ".cmkctl-import";
}

std::optional<ImportCheckpoint> ParseCheckpoint(absl::string_view text) {
  const json object = json::parse(text.begin(), text.end(), nullptr, false);
  if (!object.is_object()) return std::nullopt;
  const auto string = [&object](const char* field) {
    const auto found = object.find(field);
    return found != object.end() && found->is_string() ? found->get<std::string>() : "";
  };
  const auto number = [&object](const char* field) {
    const auto found = object.find(field);
    return found != object.end() && found->is_number_unsigned() ? found->get<uint64_t>() : 0;
  };
  ImportCheckpoint checkpoint;
  checkpoint.target = string("target");
  checkpoint.import_id = string("import_id");
  checkpoint.place = {number("offset"), number("line"), number("digest")};
  checkpoint.stored = number("stored");
  checkpoint.bad = number("bad");
  if (checkpoint.import_id.size() != 16) return std::nullopt;
  return checkpoint;
}

std::string FormatCheckpoint(const ImportCheckpoint& checkpoint) {
  const json object = {{"target", checkpoint.target},
                       {"import_id", checkpoint.import_id},
                       {"offset", checkpoint.place.offset},
                       {"line", checkpoint.place.line},
                       {"digest", checkpoint.place.digest},
                       {"stored", checkpoint.stored},
                       {"bad", checkpoint.bad}};
  return object.dump(1) + "\n";
}

ImportCheckpoint NewImport(const std::string& target) {
  ImportCheckpoint checkpoint;
  checkpoint.target = target;
  std::random_device random;
  checkpoint.import_id = absl::StrFormat("%08x%08x", random(), random());
  return checkpoint;
}

std::string BatchRequestId(const ImportCheckpoint& checkpoint, uint64_t line) {
  const std::string digits = checkpoint.import_id + absl::StrFormat("%016x", line);
  return digits.substr(0, 8) + "-" + digits.substr(8, 4) + "-" + digits.substr(12, 4) + "-" +
         digits.substr(16, 4) + "-" + digits.substr(20);
}

}  // namespace cmkstore::cli
