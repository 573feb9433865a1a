// SPDX-License-Identifier: Apache-2.0
//
// The kernel's routes and neighbours, copied into the segment: the next hop of each backend, and the client
// side's default next hops. A pass asks the kernel for every backend and goes a few at a time, so that 4,096
// of them stall no flip.
#pragma once

#include <functional>
#include <map>
#include <span>

#include "control/kernel/kernel_routes.h"
#include "control/loop/coroutine.h"
#include "control/publish/publisher.h"
#include "control/state/inventory.h"

namespace teal {

// The port with this interface, as the running dataplane has it; nothing: no port of ours.
std::optional<uint16_t> port_of(const SegmentHeader& header, uint32_t ifindex);

// Hop::kNone where the neighbour is not resolved or the route leaves by no port of ours.
uint64_t hop_word(const SegmentHeader& header, const std::optional<Route>& route);

class NextHops {
 public:
  using Changed = std::function<void(const BackendState&, bool resolved)>;

  // `changed` is told of hops that come and go later, not of those that a new backend or segment begins with.
  NextHops(Publisher& publisher, KernelRoutes& routes, Changed changed)
      : publisher_(publisher), routes_(routes), changed_(std::move(changed)) {}

  // Ends early if the segment is replaced; whoever saw that asks for another pass.
  Task<void> pass(std::vector<BackendState> backends);

 private:
  void set_client_defaults(SegmentHeader& header);

  Publisher& publisher_;
  KernelRoutes& routes_;
  Changed changed_;
  std::map<uint16_t, bool> resolved_;  // by backend id, as of the latest pass
};

}  // namespace teal
