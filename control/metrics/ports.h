// SPDX-License-Identifier: Apache-2.0
//
// The ports of the running dataplane, for the API and the metrics.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "bpf/steer_map.h"
#include "control/kernel/steering.h"
#include "control/publish/publisher.h"
#include "dataplane/shm/segment.h"

namespace teal {

// The index is the enum steer_verdict.
inline constexpr std::array<std::string_view, STEER_VERDICT_COUNT> kSteerVerdictNames = {
    "pass", "to_vip", "from_backend", "icmp_error", "fragment", "no_socket"};

// Returns what the steering program has counted; nothing without an AF_XDP port, or if the counters cannot be
// read.
inline std::optional<SteerCounters> steer_counters(const Publisher& publisher, const Steering& steering) {
  return publisher.is_steered() ? steering.counters() : std::nullopt;
}

inline const char* link_name(const PortRow& row) {
  switch (row.link.load(std::memory_order_relaxed)) {
    case LinkState::kUp:
      return "up";
    case LinkState::kDown:
      return "down";
    case LinkState::kUnknown:
      break;
  }
  return "unknown";
}

// Calls visit(row) for each port, and for none while no dataplane runs.
template <typename Visit>
void for_each_port(const Publisher& publisher, Visit&& visit) {
  const std::shared_ptr<Segment> segment = publisher.segment();
  if (segment == nullptr || !publisher.dataplane_running()) return;
  for (const PortRow& row : segment->header().ports) {
    if (row.present != 0) visit(row);
  }
}

}  // namespace teal
