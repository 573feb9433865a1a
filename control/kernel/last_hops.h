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
#include <unordered_map>
#include <vector>

#include "control/kernel/kernel_routes.h"
#include "control/kernel/neighbour.h"
#include "control/publish/publisher.h"
#include "dataplane/shm/segment.h"

namespace teal {

class LastHopRouters {
 public:
  static constexpr uint32_t kMostGateways = 64;  // that are followed at a time
  struct Kernel {                                // see KernelRoutes
    std::function<std::optional<NeighbourKey>(const IpAddress& client)> gateway_to;
    std::function<void(const NeighbourKey& gateway)> keep_resolved;
  };

  LastHopRouters(const SegmentHeader& header, FlowsHeader& flows)
      : header_(header), flows_(flows), rows_(kMaxLastHops) {}

  // Asks for the gateway to the client of each row that is new, or that was asked for at another version of
  // the routes. A row is new if its hop or its client is not the one of before. At most `most` rows are asked
  // for; the next call goes on with the others. Until then a row keeps the gateway of before. Returns true if
  // look() may find another router now.
  bool ask_for_gateways(const Kernel& kernel, uint64_t routes_version, uint32_t most);

  // Looks at every row that is taken. A row whose port the dataplane does not have stays as it is.
  void look(std::span<const ResolvedNeighbour> neighbours);

 private:
  class Table;
  // Each with the number of rows whose client's gateway it is, not 0.
  using Gateways = std::unordered_map<NeighbourKey, uint32_t, NeighbourKeyHash>;
  struct Row {
    uint64_t word = Hop::kNone;
    IpAddress client;
    uint64_t asked_version = 0;  // of the routes; 0: it is still to be asked for
    Gateways::value_type* gateway = nullptr;
  };

  bool note_rows();
  bool set_gateway(Row& row, const std::optional<NeighbourKey>& gateway, const Kernel* kernel);
  void look_at(uint16_t id, uint64_t word, const Table& table);
  // The higher, the more likely it is the router; above 0 it is followed.
  int rank(const NeighbourKey& neighbour, const IpAddress& client) const;
  std::optional<IpAddress> client_of(uint16_t id) const;

  const SegmentHeader& header_;
  FlowsHeader& flows_;
  std::vector<Row> rows_;  // by id
  uint16_t next_ = 0;      // the id that the next call begins with
  Gateways gateways_;
};

// Looks at the last hops of the present segment when something has changed: a row, a route, a port or a
// neighbour.
class LastHopFollower {
 public:
  // Rows that are asked for in a round. Each costs one request to the kernel; a round takes about 2 ms. After
  // a change of routes, a full table takes 32 s at four rounds a second.
  static constexpr uint32_t kRowsAtOnce = 128;
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
  bool look_is_due_ = false;
  std::chrono::steady_clock::time_point next_look_{};
  std::vector<uint32_t> ifindexes_;  // of the dataplane's ports
};

}  // namespace teal
