// SPDX-License-Identifier: Apache-2.0
//
// Copies routes and neighbours from the kernel into the segment: the next hop of each backend, and the
// default next hops of the client side. A pass asks the kernel for every backend. It yields to the event loop
// after every few backends, so that a pass over 4,096 backends delays no flip.
#pragma once

#include <array>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "control/kernel/hop_states.h"
#include "control/kernel/kernel_routes.h"
#include "control/loop/clock.h"
#include "control/loop/coroutine.h"
#include "control/publish/publisher.h"
#include "control/state/inventory.h"

namespace teal {

// Returns the dataplane's port on this interface; nullopt if the dataplane has none.
std::optional<uint16_t> port_of(const SegmentHeader& header, uint32_t ifindex);

// Returns Hop::kNone if the kernel has no route, the neighbour is not resolved, or the dataplane has no port
// on that way.
uint64_t hop_word(const SegmentHeader& header, const std::optional<Route>& route);
HopState hop_state(const SegmentHeader& header, const std::optional<Route>& route, Clock::Time now);

class NextHops {
 public:
  using Changed = std::function<void(const std::vector<std::string>& addresses, bool resolved)>;

  // Keeps `states` up to date. At the end of a pass, calls `changed` with the known backends whose hops
  // became resolved or unresolved in this pass. The first pass over a backend tells nothing.
  NextHops(Publisher& publisher, KernelRoutes& routes, HopStates& states, const Clock& clock, Changed changed)
      : publisher_(publisher),
        routes_(routes),
        states_(states),
        clock_(clock),
        changed_(std::move(changed)) {}

  // Ends early if the segment is replaced. The code that replaces the segment asks for another pass.
  Task<void> pass(std::vector<BackendState> backends);

 private:
  void set_client_defaults(SegmentHeader& header);
  void set_state(const BackendState& backend, const HopState& state);
  void tell();

  Publisher& publisher_;
  KernelRoutes& routes_;
  HopStates& states_;
  const Clock& clock_;
  Changed changed_;
  std::array<std::vector<std::string>, 2> told_;  // addresses; [1]: became resolved
};

}  // namespace teal
