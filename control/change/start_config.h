// SPDX-License-Identifier: Apache-2.0
//
// The config of a start. A start reads the file as a reload does. Where a reload would refuse the file, the
// start goes on with the latest good config. The reasons are errors of the file, the lock, and the gates of a
// reload: an active pool without a backend that takes flows, and no free id. Only the very first start needs
// a good file.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include <tl/expected.hpp>

#include "control/config/config_file.h"
#include "control/publish/publisher.h"
#include "control/state/inventory.h"

namespace teal {

struct StartConfig {
  Config config;
  ConfigErrors file_errors;  // of a bad file, in whose place the good config is
  std::string held_back;     // why a file without errors was not taken over; "": it was
};

// `good` is the text of the latest config that was in force. `inventory` is what database and segment say.
// `check_api` returns the sockets of [api] that cannot be opened. The error: the file is bad, and a good
// config is missing.
tl::expected<StartConfig, ConfigErrors> choose_config(
    tl::expected<ConfigFile, ConfigErrors> file, const std::string& path,
    const std::optional<std::string>& good, const Inventory& inventory, const Publisher& publisher,
    const std::function<ConfigErrors(const Config&)>& check_api);

}  // namespace teal
