#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"

// Structured logs: one JSON object a line on standard error.
//
// What may be logged: names of tenants, hubs and projects, uids, reasons, counts, durations. What
// must never be: collection and document ids, labels, content, queries, keys, tokens. Fields are
// escaped, so a hostile value cannot forge a line, and what looks like a credential is redacted.
// Each event has its own bound of lines (LogLimiter); `held_back` says how many it cost.
//
// Thread-safe.

namespace cmkstore {

enum class LogLevel { kTrace, kDebug, kInfo, kWarning, kError };

using LogFields = std::vector<std::pair<absl::string_view, std::string>>;

// `event` is a constant in snake_case ("hub_locked"): the thing to search and count by.
void Log(LogLevel level, absl::string_view event, const LogFields& fields = {});

// Whether lines of this level are written: worth asking before costly fields are made.
bool LogEnabled(LogLevel level);

// Lines that the bound has cost since the start.
uint64_t HeldBackLogLines();

void SetLogLevel(LogLevel level);
// Sends later lines to `path` in place of standard error (tests); every event has its whole bound
// there. Returns false if it cannot be opened.
bool SetLogFile(const std::string& path);

}  // namespace cmkstore
