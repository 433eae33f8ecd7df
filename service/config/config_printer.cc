#include "service/config/config_printer.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "cmkstore/config/v1/config.pb.h"
#include "service/config/config_value.h"

namespace cmkstore::service {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;

constexpr size_t kWidth = 96;

std::string Bounds(const config::v1::Setting& setting) {
  if (setting.min().empty() && setting.max().empty()) return "";
  return absl::StrCat(setting.min(), " to ", setting.max());
}

void AppendComment(const std::string& indent, absl::string_view text, std::string& out) {
  std::string line = indent + "#";
  for (absl::string_view word : absl::StrSplit(text, ' ')) {
    if (line.size() + 1 + word.size() > kWidth) {
      absl::StrAppend(&out, line, "\n");
      line = indent + "#";
    }
    absl::StrAppend(&line, " ", word);
  }
  absl::StrAppend(&out, line, "\n");
}

std::string CommentOf(const FieldDescriptor& field) {
  const config::v1::Setting& setting = SettingOf(field);
  std::string comment = setting.help();
  if (!IsSection(field)) {
    if (KindOf(field) != "text") absl::StrAppend(&comment, " Write ", KindOf(field), ".");
    if (!setting.default_().empty())
      absl::StrAppend(&comment, " Default: ", setting.default_(), ".");
    if (!Bounds(setting).empty()) absl::StrAppend(&comment, " From ", Bounds(setting), ".");
  }
  if (setting.reloaded()) comment += " Takes effect while the server runs.";
  return comment;
}

std::string ListOf(absl::string_view comma_separated) {
  return absl::StrCat("[", comma_separated, "]");
}

void PrintSection(const Descriptor& section, const std::string& indent, std::string& out);

void PrintListOfSections(const FieldDescriptor& field, const std::string& indent,
                         std::string& out) {
  const bool needed = field.name() == "issuers";  // without one, the file is not valid
  std::string list;
  if (needed) AppendComment(indent, "This one is an example: replace it.", list);
  absl::StrAppend(&list, indent, field.name(), ":\n", indent, "  -\n");
  PrintSection(*field.message_type(), indent + "    ", list);
  if (needed || !SettingOf(field).default_().empty()) {
    absl::StrAppend(&out, list);
    return;
  }
  // By default there is no entry: an example, as a comment.
  for (absl::string_view line : absl::StrSplit(list, '\n', absl::SkipEmpty())) {
    absl::StrAppend(&out, indent, "# ", line.substr(indent.size()), "\n");
  }
}

void PrintSection(const Descriptor& section, const std::string& indent, std::string& out) {
  for (int i = 0; i < section.field_count(); ++i) {
    const FieldDescriptor& field = *section.field(i);
    const config::v1::Setting& setting = SettingOf(field);
    AppendComment(indent, CommentOf(field), out);
    if (IsSection(field)) {
      if (field.is_repeated()) {
        PrintListOfSections(field, indent, out);
      } else {
        absl::StrAppend(&out, indent, field.name(), ":\n");
        PrintSection(*field.message_type(), indent + "  ", out);
      }
      continue;
    }
    const std::string& value = setting.default_().empty() ? setting.example() : setting.default_();
    if (value.empty()) {
      absl::StrAppend(&out, indent, "# ", field.name(), field.is_repeated() ? ": []\n" : ":\n");
    } else {
      absl::StrAppend(&out, indent, field.name(), ": ", field.is_repeated() ? ListOf(value) : value,
                      "\n");
    }
  }
}

std::string Code(const std::string& text) {
  return text.empty() ? "" : absl::StrCat("`", text, "`");
}

void TableSection(const Descriptor& section, const std::string& path, std::string& out) {
  for (int i = 0; i < section.field_count(); ++i) {
    const FieldDescriptor& field = *section.field(i);
    const std::string name =
        absl::StrCat(path, path.empty() ? "" : ".", field.name(), field.is_repeated() ? "[]" : "");
    if (IsSection(field)) {
      absl::StrAppend(&out, "| **`", name, "`** | | | | | ", SettingOf(field).help(), " |\n");
      TableSection(*field.message_type(), name, out);
      continue;
    }
    const config::v1::Setting& setting = SettingOf(field);
    absl::StrAppend(&out, "| `", name, "` | ", KindOf(field), " | ", Code(setting.default_()),
                    " | ", Bounds(setting), " | ", setting.reloaded() ? "yes" : "no", " | ",
                    setting.help(), " |\n");
  }
}

}  // namespace

std::string PrintDefaultConfig() {
  std::string out =
      "# Every option of cmkstored with its default. Only what differs has to be written.\n"
      "# A list that is empty by default is shown as a comment, with an example of an entry.\n"
      "# Secrets are never written here, only the names of files that hold them.\n";
  PrintSection(*config::v1::Config::descriptor(), "", out);
  return out;
}

std::string ConfigReference() {
  std::string out =
      R"(# Configuration

`cmkstored --config FILE` reads one YAML file. `cmkstored --print-default-config` writes one with every option, and
`cmkstored --config FILE --check-config` says what is wrong with one, with file, line and what to write instead, and starts nothing; with `--check-files`, on the machine that is to serve, also which of the files and directories that it names cannot be used, and
what an identity lacks that the environment there does not have either.

Options that are unknown, out of bounds, without their unit or of the wrong shape are refused, and so are combinations that would not
work. Secrets are never in the file: options name the files that hold them. Tags, anchors and aliases of YAML are not taken.

The file and the files that it names are looked at every few seconds, so that a file swapped by a symbolic link counts as changed too.
What is marked `yes` below takes effect without a restart and without ending a call; a file that is wrong is reported in the log
(`config_not_reloaded`) and what was in force stays in force. The files of `tls` are taken over together, and only when key and certificate are a pair, the
certificate is valid now and the CA bundle can be read (else `tls_files_not_reloaded`). A start with files that cannot be used is refused; with a
certificate that has ended or has not begun it serves, though no caller will take it (`tls_certificate_not_current`), and takes over the next valid one.

For development there are flags in place of a file; they and all others are at the end of this page.

This page is made from the settings in `proto/cmkstore/config/v1/config.proto` and from the grammar of the command line; a test compares them.

| option | write | default | bounds | changes while running | meaning |
| --- | --- | --- | --- | --- | --- |
)";
  TableSection(*config::v1::Config::descriptor(), "", out);
  return out;
}

}  // namespace cmkstore::service
