#pragma once

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "cmkstore/config/v1/setting.pb.h"

// Single values of the configuration, by the descriptor of their field: texts to protobuf and back.
// Pure.

namespace cmkstore::service {

const config::v1::Setting& SettingOf(const google::protobuf::FieldDescriptor& field);
bool IsDuration(const google::protobuf::FieldDescriptor& field);
// A message of options, or a list of such.
bool IsSection(const google::protobuf::FieldDescriptor& field);

// Sets the field, or appends to it if it is a list, from `text`. Returns what is wrong and what to
// write instead, or nothing.
std::optional<std::string> SetValue(const google::protobuf::FieldDescriptor& field,
                                    absl::string_view text, google::protobuf::Message& message);
// "30s, 5m or 1h30m", "true or false", "one of a, b": what may be written.
std::string KindOf(const google::protobuf::FieldDescriptor& field);

}  // namespace cmkstore::service
