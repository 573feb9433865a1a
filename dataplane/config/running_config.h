// SPDX-License-Identifier: Apache-2.0
//
// A copy of the config file that the running teal-dataplane was started with, RUN_DIR/dataplane.toml.
// teal-dataplane writes the copy at its start, before it raises dataplane_epoch. teald reads it to tell which
// changes of the file need a restart.
#pragma once

#include <optional>
#include <string>

#include <tl/expected.hpp>

#include "dataplane/config/options.h"

namespace teal {

// Replaces the copy. The file belongs to the run directory's group, which may read it, whatever the umask is.
tl::expected<void, std::string> save_running_config(const std::string& run_dir, const std::string& text);

// Returns nothing without a copy, or if this version cannot read it.
std::optional<DataplaneOptions> read_running_config(const std::string& run_dir);

}  // namespace teal
