// SPDX-License-Identifier: Apache-2.0
//
// Says for each backend whether the dataplane can send packets to it, and if not, why and since when.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "control/loop/clock.h"
#include "dataplane/packet/ip_address.h"
#include "dataplane/shm/counters.h"

namespace teal {

enum class HopProblem : uint8_t {
  kNone,
  kNoRoute,   // the kernel has no unicast route
  kNoPort,    // the route leaves by an interface that is no port of the dataplane
  kNoAnswer,  // the neighbour does not answer ARP or neighbour discovery
};

// The silence of a neighbour is certain after this time.
inline constexpr std::chrono::seconds kLongestSilence(2);

struct HopState {
  HopProblem problem = HopProblem::kNone;
  uint32_t ifindex = 0;        // of the route, if there is one
  IpAddress neighbour;         // of kNoAnswer
  Clock::Time since{};         // the problem has lasted since then without a break
  uint32_t dataplane_pid = 0;  // of the dataplane whose ports were looked at
};

class HopStates {
 public:
  // Returns nothing about a backend at which nobody has looked yet.
  const std::optional<HopState>& of(uint16_t backend) const { return states_[backend]; }

  // Keeps `since` of the state before if the problem is the same.
  void set(uint16_t backend, HopState state);
  void forget(uint16_t backend) { states_[backend].reset(); }

 private:
  std::array<std::optional<HopState>, kMaxBackends> states_;
};

// Returns whether the backend certainly gets no packets from the dataplane with this pid. Silence of the
// neighbour is certain after 2 s. A missing port is certain if this dataplane lacks it: the segment has the
// ports of the former dataplane until a starting one has opened its own.
bool is_unreachable(const std::optional<HopState>& state, Clock::Time now, uint32_t dataplane_pid);

// Returns "no route", "no answer from 198.18.2.21 on eth2", or "" without a problem.
std::string problem_text(const std::optional<HopState>& state);

}  // namespace teal
