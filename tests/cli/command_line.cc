#include "tests/cli/command_line.h"

#include <fcntl.h>
#include <pty.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sstream>
#include <thread>

namespace cmkstore::testing {
namespace {

// Arrays for execve; the strings must outlive them.
std::vector<char*> PointersTo(const std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  for (const std::string& one : strings) pointers.push_back(const_cast<char*>(one.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

[[noreturn]] void Execute(const RunOptions& options, const std::vector<char*>& arguments,
                          const std::vector<char*>& environment) {
  const char* program = options.program.empty() ? CMKCTL_PROGRAM : options.program.c_str();
  execve(program, arguments.data(), environment.data());
  _exit(127);
}

std::string ReadToEnd(int file) {
  std::string text;
  char buffer[4096];
  // A terminal answers EIO once its other end is closed.
  for (ssize_t n = 0; (n = read(file, buffer, sizeof(buffer))) > 0;) {
    text.append(buffer, static_cast<size_t>(n));
  }
  close(file);
  return text;
}

int ExitCodeOf(pid_t child) {
  int state = 0;
  waitpid(child, &state, 0);
  return WIFEXITED(state) ? WEXITSTATUS(state) : 128 + WTERMSIG(state);
}

Output RunOnTerminal(const RunOptions& options, const std::vector<char*>& arguments,
                     const std::vector<char*>& environment) {
  int terminal = -1;
  const pid_t child = forkpty(&terminal, nullptr, nullptr, nullptr);
  if (child == 0) Execute(options, arguments, environment);
  Output output;
  output.out = ReadToEnd(terminal);
  output.exit_code = ExitCodeOf(child);
  return output;
}

}  // namespace

nlohmann::json Output::Json() const {
  const std::vector<nlohmann::json> lines = JsonLines();
  return lines.empty() ? nlohmann::json() : lines.front();
}

std::vector<nlohmann::json> Output::JsonLines() const {
  std::vector<nlohmann::json> lines;
  std::istringstream input(out);
  for (std::string line; std::getline(input, line);) {
    lines.push_back(nlohmann::json::parse(line, nullptr, false));
  }
  return lines;
}

Output RunCmkctl(const std::vector<std::string>& arguments, const RunOptions& options) {
  std::vector<std::string> words = {"cmkctl"};
  words.insert(words.end(), arguments.begin(), arguments.end());
  const std::vector<char*> argv = PointersTo(words), envp = PointersTo(options.environment);
  if (options.on_terminal) return RunOnTerminal(options, argv, envp);
  int in[2], out[2], err[2];
  if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0 || pipe2(err, O_CLOEXEC) != 0) {
    return {};
  }
  const pid_t child = fork();
  if (child == 0) {
    dup2(options.input_file.empty() ? in[0] : open(options.input_file.c_str(), O_RDONLY),
         STDIN_FILENO);
    dup2(options.output_file.empty() ? out[1] : open(options.output_file.c_str(), O_WRONLY),
         STDOUT_FILENO);
    dup2(err[1], STDERR_FILENO);
    Execute(options, argv, envp);
  }
  for (int end : {in[0], out[1], err[1]}) close(end);
  Output output;
  std::thread errors([&] { output.err = ReadToEnd(err[0]); });
  std::thread writer([&] {
    for (size_t at = 0; at < options.input.size();) {
      const ssize_t n = write(in[1], options.input.data() + at, options.input.size() - at);
      if (n <= 0) break;
      at += static_cast<size_t>(n);
    }
    close(in[1]);
  });
  output.out = ReadToEnd(out[0]);
  writer.join();
  errors.join();
  output.exit_code = ExitCodeOf(child);
  return output;
}

pid_t StartCmkctl(const std::vector<std::string>& arguments, const RunOptions& options,
                  const std::string& output) {
  std::vector<std::string> words = {"cmkctl"};
  words.insert(words.end(), arguments.begin(), arguments.end());
  const std::vector<char*> argv = PointersTo(words), envp = PointersTo(options.environment);
  const pid_t child = fork();
  if (child == 0) {
    const int file = open(output.c_str(), O_RDWR | O_CREAT | O_APPEND, 0600);
    dup2(open("/dev/null", O_RDONLY), STDIN_FILENO);
    for (int standard : {STDOUT_FILENO, STDERR_FILENO}) dup2(file, standard);
    Execute(options, argv, envp);
  }
  return child;
}

}  // namespace cmkstore::testing
