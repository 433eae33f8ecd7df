#include "service/config/config_value.h"

#include <google/protobuf/duration.pb.h>

#include <algorithm>
#include <cstdint>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"

namespace cmkstore::service {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

std::optional<absl::Duration> ParseDuration(absl::string_view text) {
  absl::Duration duration;
  // "0" is a duration to absl; here each has a unit.
  if (!absl::ParseDuration(std::string(text), &duration) || absl::ascii_isdigit(text.back()) ||
      duration == absl::InfiniteDuration() || duration == -absl::InfiniteDuration()) {
    return std::nullopt;
  }
  return duration;
}

// Digits only. A leading zero is refused: elsewhere it means a number of base eight.
std::optional<uint64_t> ParseWhole(absl::string_view text) {
  uint64_t number = 0;
  const bool digits = !text.empty() && std::all_of(text.begin(), text.end(), absl::ascii_isdigit);
  if (!digits || (text.size() > 1 && text[0] == '0')) return std::nullopt;
  if (!absl::SimpleAtoi(text, &number)) return std::nullopt;
  return number;
}

std::optional<uint64_t> ParseBytes(absl::string_view text) {
  static constexpr std::pair<absl::string_view, int> kUnits[] = {
      {"KiB", 10}, {"MiB", 20}, {"GiB", 30}};
  for (const auto& [unit, shift] : kUnits) {
    if (!absl::EndsWith(text, unit)) continue;
    text.remove_suffix(unit.size());
    const auto number = ParseWhole(text);
    if (!number.has_value() || *number > (uint64_t{1} << 30)) return std::nullopt;
    return *number << shift;
  }
  return std::nullopt;
}

// A value as a number that is comparable with its bounds.
std::optional<double> Measure(const FieldDescriptor& field, absl::string_view text) {
  if (text.empty()) return std::nullopt;
  if (IsDuration(field)) {
    const auto duration = ParseDuration(text);
    if (!duration.has_value()) return std::nullopt;
    return absl::ToDoubleSeconds(*duration);
  }
  if (SettingOf(field).bytes()) {
    const auto bytes = ParseBytes(text);
    if (!bytes.has_value()) return std::nullopt;
    return static_cast<double>(*bytes);
  }
  if (field.cpp_type() == FieldDescriptor::CPPTYPE_DOUBLE) {
    double number = 0;
    if (!absl::SimpleAtod(text, &number)) return std::nullopt;
    return number;
  }
  const auto number = ParseWhole(text);
  if (!number.has_value()) return std::nullopt;
  return static_cast<double>(*number);
}

std::optional<std::string> CheckBounds(const FieldDescriptor& field, double value,
                                       absl::string_view text) {
  const config::v1::Setting& setting = SettingOf(field);
  const bool low = !setting.min().empty() && value < *Measure(field, setting.min());
  const bool high = !setting.max().empty() && value > *Measure(field, setting.max());
  if (!low && !high && value == value) return std::nullopt;
  return absl::StrCat(text, " is out of bounds; write a value from ", setting.min(), " to ",
                      setting.max());
}

void SetNumber(const FieldDescriptor& field, absl::string_view text, double value,
               Message& message) {
  const google::protobuf::Reflection& reflection = *message.GetReflection();
  if (IsDuration(field)) {
    absl::Duration duration = *ParseDuration(text);
    auto& proto =
        static_cast<google::protobuf::Duration&>(*reflection.MutableMessage(&message, &field));
    proto.set_seconds(absl::IDivDuration(duration, absl::Seconds(1), &duration));
    proto.set_nanos(static_cast<int32_t>(absl::ToInt64Nanoseconds(duration)));
  } else if (field.cpp_type() == FieldDescriptor::CPPTYPE_DOUBLE) {
    reflection.SetDouble(&message, &field, value);
  } else if (field.cpp_type() == FieldDescriptor::CPPTYPE_UINT64) {
    reflection.SetUInt64(&message, &field, static_cast<uint64_t>(value));
  } else {
    reflection.SetUInt32(&message, &field, static_cast<uint32_t>(value));
  }
}

std::optional<std::string> SetText(const FieldDescriptor& field, absl::string_view text,
                                   Message& message) {
  const auto& words = SettingOf(field).values();
  if (!words.empty() && std::find(words.begin(), words.end(), text) == words.end()) {
    return absl::StrCat("\"", text, "\" is not a value of it; write ", KindOf(field));
  }
  const google::protobuf::Reflection& reflection = *message.GetReflection();
  if (field.is_repeated()) {
    reflection.AddString(&message, &field, std::string(text));
  } else {
    reflection.SetString(&message, &field, std::string(text));
  }
  return std::nullopt;
}

}  // namespace

const config::v1::Setting& SettingOf(const FieldDescriptor& field) {
  return field.options().GetExtension(config::v1::setting);
}

bool IsDuration(const FieldDescriptor& field) {
  return field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE &&
         field.message_type() == google::protobuf::Duration::descriptor();
}

bool IsSection(const FieldDescriptor& field) {
  return field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE && !IsDuration(field);
}

std::optional<std::string> SetValue(const FieldDescriptor& field, absl::string_view text,
                                    Message& message) {
  if (field.cpp_type() == FieldDescriptor::CPPTYPE_STRING) return SetText(field, text, message);
  if (field.cpp_type() == FieldDescriptor::CPPTYPE_BOOL) {
    if (text != "true" && text != "false") {
      return absl::StrCat("\"", text, "\" is neither; write true or false");
    }
    message.GetReflection()->SetBool(&message, &field, text == "true");
    return std::nullopt;
  }
  const std::optional<double> value = Measure(field, text);
  if (!value.has_value()) return absl::StrCat("\"", text, "\" is not one; write ", KindOf(field));
  if (auto problem = CheckBounds(field, *value, text)) return problem;
  SetNumber(field, text, *value, message);
  return std::nullopt;
}

std::string KindOf(const FieldDescriptor& field) {
  if (IsDuration(field)) return "a duration with its unit, such as 30s, 5m or 1h30m";
  if (SettingOf(field).bytes()) return "a size with its unit KiB, MiB or GiB, such as 64MiB";
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_BOOL: return "true or false";
    case FieldDescriptor::CPPTYPE_DOUBLE: return "a number such as 0.2";
    case FieldDescriptor::CPPTYPE_STRING: break;
    default: return "a whole number without a unit, such as 64";
  }
  const auto& words = SettingOf(field).values();
  if (!words.empty()) return absl::StrCat("one of ", absl::StrJoin(words, ", "));
  return "text";
}

}  // namespace cmkstore::service
