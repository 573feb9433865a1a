// SPDX-License-Identifier: Apache-2.0
//
// RUN_DIR/health.json: what teald knew of the backends' health, for its next start. The run directory is a
// tmpfs, so the file does not outlive a reboot.
#pragma once

#include <string>
#include <string_view>

#include <tl/expected.hpp>

#include "control/health/health_board.h"

namespace teal {

std::string health_text(const HealthMemory& memory);
// The error says what is wrong with the text.
tl::expected<HealthMemory, std::string> parse_health(std::string_view text);

// Replaces the file at once: a reader sees the old one or the new one.
tl::expected<void, std::string> write_health_file(const std::string& run_dir, const std::string& text);
// Without a file: nothing is known. The error: there is a file, but it cannot be used.
tl::expected<HealthMemory, std::string> read_health_file(const std::string& run_dir);

}  // namespace teal
