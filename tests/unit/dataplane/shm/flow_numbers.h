// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstring>
#include <memory>

#include "dataplane/shm/flow_table.h"

namespace teal {

inline constexpr uint16_t kTestServices = 7;
inline constexpr uint16_t kTestBackends = 70;

// `service_of` for the tests: backend b belongs to service b % 7.
inline const std::array<uint16_t, kTestBackends>& service_of_backend() {
  static const auto services = [] {
    std::array<uint16_t, kTestBackends> table;
    for (uint16_t backend = 0; backend < kTestBackends; ++backend) table[backend] = backend % kTestServices;
    return table;
  }();
  return services;
}

// The functions below derive all fields of a flow from a number and a version. So is_whole() can detect a
// mixture of two flows.
inline FlowKey key_of(uint32_t number) {
  FlowKey key;
  std::memcpy(key.client.bytes, &number, 4);
  const uint32_t inverted = ~number;
  std::memcpy(key.client.bytes + 8, &inverted, 4);
  key.client_port.raw = static_cast<uint16_t>(number * 40503u);
  key.service = static_cast<uint16_t>(number % kTestServices);
  return key;
}
inline uint16_t backend_of(uint32_t number, uint32_t version) {
  return static_cast<uint16_t>(number % kTestServices +
                               kTestServices * (version % (kTestBackends / kTestServices)));
}
inline FlowState state_of(uint32_t number, uint32_t version) {
  return FlowState{.tick = number ^ version * 0x9e3779b9u, .last_hop = static_cast<uint16_t>(version)};
}
// `tick` identifies the flow. Last hop and phase may change.
inline bool is_whole(const Flow& flow) {
  uint32_t number;
  std::memcpy(&number, flow.client.bytes, 4);
  const FlowKey key = key_of(number);
  const uint32_t version = flow.birth_generation;
  return flow.client == key.client && flow.client_port == key.client_port &&
         flow.backend == backend_of(number, version) && flow.state.tick == state_of(number, version).tick;
}
inline uint32_t number_of(const Flow& flow) {
  uint32_t number;
  std::memcpy(&number, flow.client.bytes, 4);
  return number;
}

// A flow table that owns its memory.
struct OwnedTable {
  explicit OwnedTable(FlowTable::Geometry geometry, uint64_t seed = 1)
      : buckets(new FlowTable::Bucket[geometry.buckets()]()), table(geometry, buckets.get(), seed) {}

  uint64_t displaced() const {
    uint64_t sum = 0;
    for (uint64_t bucket = 0; bucket < table.geometry().buckets(); ++bucket) sum += buckets[bucket].displaced;
    return sum;
  }

  std::unique_ptr<FlowTable::Bucket[]> buckets;
  FlowTable table;
};

}  // namespace teal
