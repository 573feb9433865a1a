// SPDX-License-Identifier: Apache-2.0
#include "dataplane/log/log.h"

#include <cstdlib>
#include <utility>

#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

namespace teal {

namespace {

constexpr const char* kTimeProgramLevel = "[%Y-%m-%d %H:%M:%S.%e] [%n] [%^%l%$] %v";

const char* syslog_level(spdlog::level::level_enum level) {
  switch (level) {
    case spdlog::level::critical:
      return "<2>";
    case spdlog::level::err:
      return "<3>";
    case spdlog::level::warn:
      return "<4>";
    case spdlog::level::info:
      return "<6>";
    default:
      return "<7>";
  }
}

// Each line after the first begins with `prefix` and two spaces.
std::string printable(spdlog::string_view_t message, std::string_view prefix) {
  std::string text;
  for (const char c : message) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '\n')
      text.append("\n").append(prefix).append("  ");
    else
      text.push_back((byte < 0x20 && c != '\t') || byte == 0x7f ? '?' : c);
  }
  return text;
}

class LogFormatter : public spdlog::formatter {
 public:
  explicit LogFormatter(bool to_journal)
      : to_journal_(to_journal), pattern_(to_journal ? "%v" : kTimeProgramLevel) {}

  void format(const spdlog::details::log_msg& message, spdlog::memory_buf_t& out) override {
    const std::string_view prefix = to_journal_ ? syslog_level(message.level) : "";
    const std::string text = printable(message.payload, prefix);
    spdlog::details::log_msg shown = message;
    shown.payload = text;
    out.append(prefix.data(), prefix.data() + prefix.size());
    pattern_.format(shown, out);
    message.color_range_start = shown.color_range_start;
    message.color_range_end = shown.color_range_end;
  }
  std::unique_ptr<spdlog::formatter> clone() const override {
    return std::make_unique<LogFormatter>(to_journal_);
  }

 private:
  const bool to_journal_;
  spdlog::pattern_formatter pattern_;
};

}  // namespace

void open_log(const std::string& program) {
  auto logger = spdlog::stderr_color_mt(program);
  logger->set_formatter(log_formatter(is_journal(STDERR_FILENO, std::getenv("JOURNAL_STREAM"))));
  logger->flush_on(spdlog::level::trace);
  spdlog::set_default_logger(std::move(logger));
}

std::unique_ptr<spdlog::formatter> log_formatter(bool to_journal) {
  return std::make_unique<LogFormatter>(to_journal);
}

bool is_journal(int fd, const char* journal_stream) {
  struct stat status {};
  if (journal_stream == nullptr || ::fstat(fd, &status) != 0) return false;
  return fmt::format("{}:{}", status.st_dev, status.st_ino) == journal_stream;
}

}  // namespace teal
