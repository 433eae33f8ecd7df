#include "base/log.h"

#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/clock.h"
#include "base/log_limiter.h"
#include "base/redaction.h"

namespace cmkstore {
namespace {

spdlog::level::level_enum ToSpdlog(LogLevel level) {
  switch (level) {
    case LogLevel::kTrace: return spdlog::level::trace;
    case LogLevel::kDebug: return spdlog::level::debug;
    case LogLevel::kInfo: return spdlog::level::info;
    case LogLevel::kWarning: return spdlog::level::warn;
    case LogLevel::kError: return spdlog::level::err;
  }
  return spdlog::level::err;
}

std::shared_ptr<spdlog::logger> Configured(std::shared_ptr<spdlog::logger> logger) {
  // The payload of each record is the inside of a JSON object that `Log` has escaped.
  logger->set_pattern("{\"time\":\"%Y-%m-%dT%H:%M:%S.%eZ\",\"level\":\"%l\",%v}",
                      spdlog::pattern_time_type::utc);
  logger->flush_on(spdlog::level::trace);
  return logger;
}

// Process-wide by nature: there is one standard error. Replaced atomically by SetLogFile.
std::shared_ptr<spdlog::logger>& Logger() {
  static std::shared_ptr<spdlog::logger> logger = Configured(std::make_shared<spdlog::logger>(
      "cmkstore", std::make_shared<spdlog::sinks::stderr_sink_mt>()));
  return logger;
}

LogLimiter& Limiter() {
  static LogLimiter limiter;
  return limiter;
}

std::string Quoted(absl::string_view text) {
  return nlohmann::json(std::string(text))
      .dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
}

}  // namespace

void Log(LogLevel level, absl::string_view event, const LogFields& fields) {
  const std::shared_ptr<spdlog::logger> logger = std::atomic_load(&Logger());
  if (!logger->should_log(ToSpdlog(level))) return;
  // Not by the calendar: set back by an hour, it would silence what is logged often for an hour.
  const std::optional<uint64_t> held_back = Limiter().Admit(event, SystemClock().MonotonicNow());
  if (!held_back.has_value()) return;
  std::string body = "\"event\":" + Quoted(event);
  for (const auto& [key, value] : fields) {
    body += "," + Quoted(key) + ":" + Quoted(RedactSecrets(value));
  }
  if (*held_back > 0) body += ",\"held_back\":" + std::to_string(*held_back);
  logger->log(ToSpdlog(level), "{}", body);
}

bool LogEnabled(LogLevel level) { return std::atomic_load(&Logger())->should_log(ToSpdlog(level)); }

uint64_t HeldBackLogLines() { return Limiter().held_back(); }

void SetLogLevel(LogLevel level) { std::atomic_load(&Logger())->set_level(ToSpdlog(level)); }

bool SetLogFile(const std::string& path) {
  try {
    auto logger = Configured(std::make_shared<spdlog::logger>(
        "cmkstore", std::make_shared<spdlog::sinks::basic_file_sink_mt>(path)));
    logger->set_level(std::atomic_load(&Logger())->level());
    std::atomic_store(&Logger(), logger);
    Limiter().Refill();
    return true;
  } catch (const spdlog::spdlog_ex&) {
    return false;
  }
}

}  // namespace cmkstore
