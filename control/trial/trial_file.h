// SPDX-License-Identifier: Apache-2.0
//
// RUN_DIR/trials.json: what the trials of full flips compare with, so that a teald that was killed goes on
// with them. The run directory is a tmpfs, and the counters live in the segment: neither outlives a reboot.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include <tl/expected.hpp>

#include "control/trial/trial.h"

namespace teal {

// The key is the generation of the flip and the name of the service.
using TrialStarts = std::map<std::pair<uint64_t, std::string>, TrialStart>;

std::string trials_text(const TrialStarts& starts);
// The error says what is wrong with the text.
tl::expected<TrialStarts, std::string> parse_trials(std::string_view text);

// Replaces the file at once: a reader sees the old one or the new one.
tl::expected<void, std::string> write_trials_file(const std::string& run_dir, const TrialStarts& starts);
// Without a file: nothing is known. The error: there is a file, but it cannot be used.
tl::expected<TrialStarts, std::string> read_trials_file(const std::string& run_dir);

}  // namespace teal
