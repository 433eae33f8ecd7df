#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "vault/dev_vault/answer.h"

namespace cmkstore::dev_vault {

// One HTTP request as the handlers see it, free of the HTTP library.
struct HttpCall {
  std::string method;
  std::string path;
  std::string host;  // the Host header, with its port
  std::string peer;  // the caller's IP address
  std::string body;
  std::vector<std::string> matches;                // groups of the route's pattern; 0 is the path
  std::multimap<std::string, std::string> params;  // of the query and of a form
  std::map<std::string, std::string> headers;      // names in lower case

  // Empty if absent.
  std::string Match(size_t group) const { return group < matches.size() ? matches[group] : ""; }
  std::string Param(const std::string& name) const {
    const auto found = params.find(name);
    return found == params.end() ? "" : found->second;
  }
  std::string Header(const std::string& lower_case_name) const {
    const auto found = headers.find(lower_case_name);
    return found == headers.end() ? "" : found->second;
  }
};

using HttpHandler = std::function<Answer(const HttpCall&)>;

}  // namespace cmkstore::dev_vault
