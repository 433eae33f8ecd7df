#pragma once

#include "absl/status/status.h"
#include "absl/status/statusor.h"

// Returns the status of `expression` from the enclosing function unless it is OK.
#define CMK_RETURN_IF_ERROR(expression)                                              \
  do {                                                                               \
    if (absl::Status cmk_status = (expression); !cmk_status.ok()) return cmk_status; \
  } while (false)

// Assigns the value of a StatusOr to `target`, or returns its status from the enclosing function.
#define CMK_ASSIGN_OR_RETURN(target, expression) \
  CMK_ASSIGN_OR_RETURN_(CMK_CONCAT_(cmk_result_, __LINE__), target, expression)

#define CMK_CONCAT_INNER_(a, b) a##b
#define CMK_CONCAT_(a, b) CMK_CONCAT_INNER_(a, b)
#define CMK_ASSIGN_OR_RETURN_(result, target, expression) \
  auto result = (expression);                             \
  if (!result.ok()) return std::move(result).status();    \
  target = std::move(result).value()
