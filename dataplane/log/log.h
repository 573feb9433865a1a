// SPDX-License-Identifier: Apache-2.0
//
// Both teald and teal-dataplane log to stderr, in the form that this file defines.
//
// On a terminal or in a file a line has time, program and level:
//
//   [2026-11-23 05:30:00.123] [teald] [warning] flip was refused (locked): ...
//
// If stderr goes to systemd's journal, a line begins with its syslog level instead (sd-daemon(3)). The
// journal adds the rest, and `journalctl -p warning` selects by the level:
//
//   <4>flip was refused (locked): ...
//
// Messages may quote what a client sent. So control characters become '?', and each further line of a message
// is indented: no message looks like another one.
#pragma once

#include <memory>
#include <string>

#include <spdlog/formatter.h>

namespace teal {

// Makes the default logger, which writes each line at once.
void open_log(const std::string& program);

std::unique_ptr<spdlog::formatter> log_formatter(bool to_journal);

// Returns whether the file is the one that systemd names in $JOURNAL_STREAM ("DEVICE:INODE"). Null: the
// variable is not set.
bool is_journal(int fd, const char* journal_stream);

}  // namespace teal
