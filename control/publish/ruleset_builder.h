// SPDX-License-Identifier: Apache-2.0
//
// From services and backends with their ids to the bytes that workers read.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

#include <tl/expected.hpp>

#include "dataplane/shm/ruleset.h"

namespace teal {

struct NumberedService {
  uint16_t id = kNoId;
  std::string name;
  Socket vip;
  bool affinity_client = false;
  bool udp_cut = false;
  bool retired = false;
};

struct NumberedBackend {
  uint16_t id = kNoId;
  uint16_t service = kNoId;  // id
  Socket socket;
  std::array<std::optional<uint32_t>, kColours>
      weights;                            // by Colour; nothing: not in that pool. Retired: in none
  std::array<bool, kColours> reset = {};  // by Colour: are its flows reset?
  bool retired = false;
};

struct RulesetInput {
  Timeouts timeouts{};
  uint32_t reset_rate = 0;  // flows a second
  std::vector<NumberedService> services;
  std::vector<NumberedBackend> backends;
};

// Fills `out` whole. Ids are unique and below the limits, sockets are unique (the config check saw to it;
// asserted). The error is a Maglev arena that does not suffice, with the sizes.
tl::expected<void, std::string> build_ruleset(const RulesetInput& plan, Ruleset& out);

}  // namespace teal
