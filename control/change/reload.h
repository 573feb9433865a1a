// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include <tl/expected.hpp>

#include "control/change/change.h"
#include "control/config/config_file.h"
#include "control/publish/publisher.h"
#include "control/state/catalogue.h"

namespace teal {

// Refuses a file that has these errors.
Refusal bad_config(const std::string& path, std::vector<std::string> errors);
// Refuses an [api] whose sockets cannot be opened.
Refusal bad_api(const std::string& path, std::vector<std::string> errors);

// Plans a reload of `file`, as read_config_file() returned it. A bad file is refused whole, with all its
// errors.
tl::expected<Change, Refusal> plan_reload(const tl::expected<ConfigFile, ConfigErrors>& file,
                                          const Catalogue& catalogue, const Publisher& publisher);

}  // namespace teal
