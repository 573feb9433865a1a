// SPDX-License-Identifier: Apache-2.0
#include "dataplane/log/log.h"

#include <cstdio>
#include <regex>
#include <sstream>

#include <gtest/gtest.h>

#include <sys/stat.h>

#include <fmt/format.h>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>

namespace teal {
namespace {

std::string logged(bool to_journal, spdlog::level::level_enum level, const std::string& message) {
  std::ostringstream out;
  spdlog::logger logger("teald", std::make_shared<spdlog::sinks::ostream_sink_st>(out));
  logger.set_level(spdlog::level::trace);
  logger.set_formatter(log_formatter(to_journal));
  logger.log(level, message);
  return out.str();
}

TEST(Log, ALineOfTheJournalBeginsWithItsSyslogLevel) {
  EXPECT_EQ(logged(true, spdlog::level::critical, "a"), "<2>a\n");
  EXPECT_EQ(logged(true, spdlog::level::err, "a"), "<3>a\n");
  EXPECT_EQ(logged(true, spdlog::level::warn, "a"), "<4>a\n");
  EXPECT_EQ(logged(true, spdlog::level::info, "a"), "<6>a\n");
  EXPECT_EQ(logged(true, spdlog::level::debug, "a"), "<7>a\n");
}

TEST(Log, AnyOtherLineHasTimeProgramAndLevel) {
  const std::string line = logged(false, spdlog::level::warn, "a");
  EXPECT_TRUE(std::regex_match(
      line, std::regex(R"(\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}\] \[teald\] \[warning\] a\n)")))
      << line;
}

TEST(Log, AMessageCannotForgeALine) {
  EXPECT_EQ(logged(true, spdlog::level::info, "reason: x\n<2>the disk is on fire\x1b[2J"),
            "<6>reason: x\n<6>  <2>the disk is on fire?[2J\n");
  const std::string line = logged(false, spdlog::level::info, "reason: x\n[2026-11-23] forged\ty");
  EXPECT_NE(line.find("reason: x\n  [2026-11-23] forged\ty\n"), std::string::npos) << line;
}

TEST(Log, TheJournalIsTheFileThatSystemdNames) {
  std::FILE* file = std::tmpfile();
  ASSERT_NE(file, nullptr);
  const int fd = fileno(file);
  struct stat status {};
  ASSERT_EQ(fstat(fd, &status), 0);
  const std::string named = fmt::format("{}:{}", status.st_dev, status.st_ino);
  EXPECT_TRUE(is_journal(fd, named.c_str()));
  EXPECT_FALSE(is_journal(fd, nullptr)) << "not started by systemd";
  EXPECT_FALSE(is_journal(fd, fmt::format("{}:{}", status.st_dev, status.st_ino + 1).c_str()))
      << "stderr was sent elsewhere";
  EXPECT_FALSE(is_journal(fd, "nonsense"));
  std::fclose(file);
}

}  // namespace
}  // namespace teal
