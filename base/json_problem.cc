#include "base/json_problem.h"

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"

namespace cmkstore {
namespace {

constexpr int kNumberOutOfRange = 406;  // the parser's own number of that error

// Looks at a text without keeping it; ends where it is nested too deep, so that no later reader can
// overflow.
class Checker final : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit Checker(int max_depth) : max_depth_(max_depth) {}

  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return true; }
  bool start_object(size_t) override { return Deeper(); }
  bool key(string_t&) override { return true; }
  bool end_object() override { return depth_-- > 0; }
  bool start_array(size_t) override { return Deeper(); }
  bool end_array() override { return depth_-- > 0; }
  bool parse_error(size_t position, const std::string& token,
                   const nlohmann::detail::exception& error) override {
    problem_ = error.id == kNumberOutOfRange
                   ? absl::StrCat("has a number out of range at byte ", position - token.size() + 1,
                                  " (numbers go to 1.79e308; write it as a string)")
                   : absl::StrCat("is not well-formed JSON at byte ", position);
    return false;
  }

  const std::string& problem() const { return problem_; }

 private:
  bool Deeper() {
    if (++depth_ <= max_depth_) return true;
    problem_ = absl::StrCat("is nested more than ", max_depth_, " deep");
    return false;
  }

  const int max_depth_;
  int depth_ = 0;
  std::string problem_;
};

}  // namespace

std::string JsonProblem(absl::string_view text, int max_depth) {
  Checker checker(max_depth);
  nlohmann::json::sax_parse(text.begin(), text.end(), &checker);
  return checker.problem();
}

}  // namespace cmkstore
