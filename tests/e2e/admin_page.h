#pragma once

#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/curl_transport.h"

namespace cmkstore {

// What the admin port of a server of this process answers.
inline HttpResponse FetchAdmin(int port, const std::string& path, const std::string& accept = "") {
  CurlTransport transport({.ca_file = "", .connect_to = {}, .max_response_bytes = 8u << 20});
  HttpRequest request;
  request.url = absl::StrCat("http://127.0.0.1:", port, path);
  if (!accept.empty()) request.headers = {{"Accept", accept}};
  const auto response = transport.Send(request, absl::Now() + absl::Seconds(20));
  EXPECT_TRUE(response.ok()) << response.status();
  return response.value_or(HttpResponse());
}

// The value of a series there; -1: there is none.
inline double AdminMetric(int port, const std::string& series) {
  const std::string page = FetchAdmin(port, "/metrics").body;
  const size_t at = page.find("\n" + series + " ");
  EXPECT_NE(at, std::string::npos) << series;
  return at == std::string::npos ? -1 : std::stod(page.substr(at + series.size() + 2));
}

}  // namespace cmkstore
