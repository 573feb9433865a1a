// SPDX-License-Identifier: Apache-2.0
//
// Builds the bytes that workers read from services and backends with their ids.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

#include <tl/expected.hpp>

#include "dataplane/packet/ip_prefix.h"
#include "dataplane/shm/ruleset.h"

namespace teal {

struct NumberedService {
  uint16_t id = kNoId;
  std::string name;
  Socket vip;
  std::optional<Socket> preview;
  std::vector<IpPrefix> preview_clients = {};
  bool affinity_client = false;
  bool udp_cut = false;
  bool on_down_reset = false;  // flows of a backend that is down are reset
  bool retired = false;
};

struct NumberedBackend {
  uint16_t id = kNoId;
  uint16_t service = kNoId;  // id
  Socket socket;
  std::array<std::optional<uint32_t>, kColours> weights;  // by Colour; nothing: not a member of that pool
  std::array<bool, kColours> reset = {};                  // by Colour: its flows are reset
  bool retired = false;
};

struct RulesetInput {
  Timeouts timeouts{};
  uint32_t reset_rate = 0;  // flows a second
  std::vector<NumberedService> services;
  std::vector<NumberedBackend> backends;
};

// Fills all of `out`. Ids must be unique and below the limits, sockets unique, and preview clients at most
// kMaxPreviewClients; the checks of configs and requests ensure this, and it is asserted. The error says that
// the Maglev tables do not fit, with the sizes.
tl::expected<void, std::string> build_ruleset(const RulesetInput& plan, Ruleset& out);

}  // namespace teal
