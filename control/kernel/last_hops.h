// SPDX-License-Identifier: Apache-2.0
//
// Finds the router of each last hop among the kernel's neighbours, and follows it. If the router's neighbour
// entry gets another MAC address, the hop gets it, too: so all flows of the hop follow at once
// (dataplane/shm/last_hop.h). The router is a neighbour on the hop's port with the hop's MAC address: a
// gateway of the kernel's routes to clients, else the client itself, else the one that was found first. The
// last is not followed, as any host can announce a second address with the MAC address of another one.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <unordered_set>
#include <vector>

#include "control/kernel/kernel_routes.h"
#include "control/kernel/neighbour.h"
#include "control/publish/publisher.h"
#include "dataplane/shm/segment.h"

namespace teal {

class LastHopRouters {
 public:
  static constexpr uint32_t kMostGateways = 64;  // that the kernel is asked to keep resolved
  // KernelRoutes::keep_gateway()
  using KeepGateway = std::function<std::optional<NeighbourKey>(const IpAddress& client)>;

  LastHopRouters(const SegmentHeader& header, FlowsHeader& flows)
      : header_(header), flows_(flows), asked_(kMaxLastHops) {}

  // Asks for the gateways to the clients of rows that are new, of at most `most` rows. Returns false if there
  // are more. Two routes to clients by one gateway are one gateway.
  bool keep_gateways(const KeepGateway& keep_gateway, uint32_t most);

  // Looks at every row that is taken. A row whose port the dataplane does not have stays as it is.
  void look(std::span<const ResolvedNeighbour> neighbours);

  uint32_t taken() const;  // rows

 private:
  class Table;

  void look_at(uint16_t id, uint64_t word, const Table& table);
  // The higher, the more likely it is the router; above 0 it is followed.
  int rank(const NeighbourKey& neighbour, const IpAddress& client) const;
  std::optional<IpAddress> client_of(uint16_t id) const;

  const SegmentHeader& header_;
  FlowsHeader& flows_;
  std::vector<bool> asked_;  // by id: the route to the row's client
  std::unordered_set<NeighbourKey, NeighbourKeyHash> gateways_;
};

// Looks at the last hops of the present segment when something has changed: a row, a port or a neighbour.
class LastHopFollower {
 public:
  static constexpr uint32_t kGatewaysAtOnce = 16;  // each costs several round trips to the kernel
  // The pause after a look, in times of the look: a huge neighbour table must not hold up a flip.
  static constexpr int kRest = 20;

  LastHopFollower(Publisher& publisher, KernelRoutes& routes) : publisher_(publisher), routes_(routes) {}

  // Call it a few times a second.
  void follow();

 private:
  Publisher& publisher_;
  KernelRoutes& routes_;
  std::shared_ptr<Segment> segment_;
  std::optional<LastHopRouters> routers_;
  uint32_t taken_ = 0;
  bool has_unasked_ = false;  // rows whose gateway is still to be asked for
  std::chrono::steady_clock::time_point next_look_{};
  std::vector<uint32_t> ifindexes_;  // of the dataplane's ports
};

}  // namespace teal
