#pragma once

#include <string>
#include <vector>

namespace cmkstore::reliability {

// What a reliability program measured, against the figures that it must keep.
class Result {
 public:
  // `id`: of the table of reliability programs, "T8"; `program`: its name.
  Result(std::string id, std::string program) : id_(std::move(id)), program_(std::move(program)) {}

  void AtMost(const std::string& what, double measured, double limit);
  void AtLeast(const std::string& what, double measured, double limit);
  void Exactly(const std::string& what, double measured, double wanted);
  // A fact of the run that no figure is set for.
  void Note(const std::string& what, double measured);

  // Prints the table, writes the same as JSON to `json_file` if it is not empty. The exit code: 0,
  // 1 when a figure was missed, 2 when the file cannot be written.
  int Finish(const std::string& json_file) const;

 private:
  struct Figure {
    std::string what;
    double measured;
    std::string relation;  // "<=", ">=", "=="; "" for a note
    double limit;
    bool kept;
  };

  const std::string id_, program_;
  std::vector<Figure> figures_;
};

}  // namespace cmkstore::reliability
