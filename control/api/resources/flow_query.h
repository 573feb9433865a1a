// SPDX-License-Identifier: Apache-2.0
//
// Searches the shared flow table while workers change it. A flow that exists during the whole search is seen
// once. A flow that begins or ends meanwhile may be seen or missed.
#pragma once

#include <algorithm>
#include <array>
#include <optional>

#include "control/state/catalogue.h"
#include "dataplane/shm/flow_table.h"

namespace teal {

// A member that is not set matches every flow.
struct FlowFilter {
  std::optional<uint16_t> service;  // id
  std::optional<Colour> colour;
  std::optional<Socket> backend;  // its protocol is not compared
  std::optional<IpAddress> client;
  std::optional<Be16> client_port;
};

inline bool matches(const FlowFilter& filter, const Flow& flow, const Catalogue& catalogue) {
  if (filter.client && flow.client != *filter.client) return false;
  if (filter.client_port && flow.client_port != *filter.client_port) return false;
  if (filter.colour && flow.state.colour() != *filter.colour) return false;
  if (!filter.service && !filter.backend) return true;
  const BackendState* backend = catalogue.backend(flow.backend);
  if (backend == nullptr) return false;
  if (filter.service && backend->service != *filter.service) return false;
  return !filter.backend ||
         (backend->socket.address == filter.backend->address && backend->socket.port == filter.backend->port);
}

// Calls `visit` for each matching flow in the buckets [begin, end). `end` may exceed the number of buckets.
template <typename Visit>
void for_each_match(const FlowTable& table, uint64_t begin, uint64_t end, const FlowFilter& filter,
                    const Catalogue& catalogue, Visit&& visit) {
  for (uint64_t bucket = begin; bucket < std::min(end, table.geometry().buckets()); ++bucket) {
    table.for_each_in_bucket(bucket, [&](FlowIndex, const Flow& flow) {
      if (matches(filter, flow, catalogue)) visit(flow);
    });
  }
}

inline const char* flow_phase_name(FlowPhase phase) {
  static constexpr std::array<const char*, kFlowPhases> kNames = {
      "embryonic", "established", "client_fin", "backend_fin", "closed", "reset", "resetting", "asked"};
  const auto index = static_cast<size_t>(phase);
  return index < kNames.size() ? kNames[index] : "unknown";
}

}  // namespace teal
