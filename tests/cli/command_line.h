#pragma once

#include <sys/types.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace cmkstore::testing {

// What a run of a program left behind.
struct Output {
  int exit_code = -1;
  std::string out, err;

  // The first line of out as JSON.
  nlohmann::json Json() const;
  // Each line of out as JSON.
  std::vector<nlohmann::json> JsonLines() const;
};

struct RunOptions {
  std::string program;                   // empty: the real cmkctl
  std::vector<std::string> environment;  // NAME=VALUE; nothing else is inherited
  std::string input;
  std::string input_file;    // instead of `input`
  std::string output_file;   // instead of `out`
  bool on_terminal = false;  // standard output and error are a terminal; both land in out
};

// Runs the real cmkctl to its end.
Output RunCmkctl(const std::vector<std::string>& arguments, const RunOptions& options);
// Starts it without waiting; what it prints goes to `output`, a file.
pid_t StartCmkctl(const std::vector<std::string>& arguments, const RunOptions& options,
                  const std::string& output = "/dev/null");

}  // namespace cmkstore::testing
