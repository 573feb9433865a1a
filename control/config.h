// SPDX-License-Identifier: Apache-2.0
//
// The part of the config file that teald reads: services, groups, timeouts. `[dataplane]` and `[[port]]`
// belong to dataplane/options. All or nothing: every error of the file is listed, as FILE:LINE: FIELD: what
// is wrong, what was expected.
#pragma once

#include <array>
#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include <tl/expected.hpp>

#include "dataplane/packet/ip_address.h"
#include "dataplane/shm/ruleset.h"

namespace teal {

struct BackendConfig {
  Socket socket;
  uint32_t weight = 1;  // 0: takes no new flows
};

struct ServiceConfig {
  std::string name;
  Socket vip;
  std::array<std::vector<BackendConfig>, kColours> pools;  // by Colour
  Colour active = Colour::kBlue;                           // for the first start only
  bool affinity_client = false;
  std::chrono::milliseconds drain_timeout = std::chrono::minutes(5);
};

struct GroupConfig {
  std::string name;
  std::vector<std::string> services;  // names, each of a service of this file
};

struct Config {
  std::string path;
  Timeouts timeouts;                    // in ticks
  std::vector<ServiceConfig> services;  // in the file's order
  std::vector<GroupConfig> groups;
};

using ConfigErrors = std::vector<std::string>;

tl::expected<Config, ConfigErrors> read_config(const std::string& path);

// The same for a text in memory; `path` is what errors name.
tl::expected<Config, ConfigErrors> parse_config(std::string_view text, const std::string& path);

}  // namespace teal
