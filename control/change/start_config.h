// SPDX-License-Identifier: Apache-2.0
//
// The config of a start. A start reads the file as a reload does. Where a reload would refuse the file, the
// start goes on with the latest good config. The reasons are errors of the file, the lock, and the gates of a
// reload. These gates are: an active pool without a backend that takes flows, a colour with new flows that
// loses its last backend within reach, and no free id. Only the very first start needs a good file.
//
// The gate of reach needs next hops. A reload has what teald has learnt; a start has learnt nothing yet and
// asks the kernel. It asks only about services whose backends the file changes in a colour that gets new
// flows. While none of the file's backends of such a colour has a next hop, and a neighbour may still answer,
// the start waits, at most kLongestSilence.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include <tl/expected.hpp>

#include "control/change/refusal.h"
#include "control/config/config_file.h"
#include "control/kernel/hop_states.h"
#include "control/loop/clock.h"
#include "control/publish/publisher.h"
#include "control/state/catalogue.h"
#include "control/state/inventory.h"

namespace teal {

struct StartConfig {
  Config config;
  ConfigErrors file_errors;  // of a bad file, in whose place the good config is
  std::string held_back;     // why a file without errors was not taken over; "": it was
};

// Returns the refusal of a file that leaves a colour with new flows out of reach. `before` has the latest
// good config, `after` the file.
using ReachGate = std::function<std::optional<Refusal>(const Catalogue& before, const Catalogue& after)>;

// `good` is the text of the latest config that was in force. `inventory` is what database and segment say.
// `check_api` returns the sockets of [api] that cannot be opened. The error: the file is bad, and a good
// config is missing.
tl::expected<StartConfig, ConfigErrors> choose_config(
    tl::expected<ConfigFile, ConfigErrors> file, const std::string& path,
    const std::optional<std::string>& good, const Inventory& inventory, const Publisher& publisher,
    const std::function<ConfigErrors(const Config&)>& check_api, const ReachGate& lost_reach);

// The means of the gate of reach. `dataplane_pid` is of the dataplane that runs.
struct StartLook {
  std::function<HopState(const IpAddress&)> hop_of;  // as of now
  std::function<void(std::chrono::milliseconds)> pause;
  const Clock& clock;
  uint32_t dataplane_pid = 0;
};

// The gate of reach: the refusal of loses_reach() in reach.h, with what the kernel says.
std::optional<Refusal> loses_reach_at_start(const Catalogue& before, const Catalogue& after,
                                            const StartLook& look);

}  // namespace teal
