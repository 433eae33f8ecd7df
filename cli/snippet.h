#pragma once

#include <string>

#include "cmkstore/v1/search_service.pb.h"

namespace cmkstore::cli {

enum class Emphasis { kNone, kTerminal };

// A hit's snippet on one printable line, its matched words set off for a terminal.
std::string SnippetLine(const v1::SearchHit& hit, Emphasis emphasis);

}  // namespace cmkstore::cli
