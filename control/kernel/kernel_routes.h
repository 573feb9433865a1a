// SPDX-License-Identifier: Apache-2.0
//
// Asks the kernel (rtnetlink) for the routes to the backends and for this host's addresses. The kernel
// chooses routes and resolves neighbours. teald copies the answers into the segment (next hops) and into the
// steering maps (local addresses), and does so again after each change.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <tl/expected.hpp>

#include "control/kernel/neighbour.h"
#include "dataplane/packet/ip_address.h"
#include "dataplane/packet/rewrite.h"

namespace boost::asio {
class io_context;
}

namespace teal {

class Clock;

// The route to an address, as the kernel knows it at this moment.
struct Route {
  uint32_t ifindex = 0;
  IpAddress gateway_or_self;      // the neighbour that packets are sent to
  std::optional<MacAddress> mac;  // nullopt: the neighbour is not resolved
  // Length of the connected prefix in the mapped form (IPv4: 96 + length). 0: behind a gateway.
  uint8_t on_link_prefix_bits = 0;
};

class KernelRoutes {
 public:
  static constexpr std::chrono::milliseconds kMergeTime{20};

  // Calls `changed` on the io_context after a route, neighbour, address or link has changed, at most once in
  // kMergeTime.
  static tl::expected<std::unique_ptr<KernelRoutes>, std::string> open(boost::asio::io_context& io,
                                                                       const Clock& clock,
                                                                       std::function<void()> changed);
  ~KernelRoutes();

  // Asks the kernel now. Returns nullopt without a route. Also asks the kernel to resolve the neighbour
  // and to keep it resolved (NTF_EXT_MANAGED, kernel 5.16). On an older kernel refresh() does this.
  std::optional<Route> lookup(const IpAddress& destination);

  // Returns the default route of an address family if it leaves by one of the interfaces.
  std::optional<Route> default_route(bool v4, std::span<const uint32_t> ifindexes);

  // Returns the gateway that the kernel would send a packet to this client by. Returns nullopt without a
  // gateway. It costs one request.
  std::optional<NeighbourKey> gateway_to(const IpAddress& client);
  // Asks the kernel to resolve a gateway and to keep it resolved, for good.
  void keep_resolved(const NeighbourKey& gateway);
  // Returns another number, never 0, after a notification that may change any answer of gateway_to().
  uint64_t routes_version() const;

  // Returns the resolved neighbours on these interfaces.
  std::vector<ResolvedNeighbour> neighbours(std::span<const uint32_t> ifindexes);
  // Returns true if a notification has contradicted the latest result of neighbours(), or may have been lost.
  bool neighbours_changed() const;

  // Returns all addresses of the interfaces in this network namespace.
  std::vector<IpAddress> local_addresses();

  // Confirms stale neighbours on a kernel that does not do so itself. Call it every few seconds.
  void refresh();

 private:
  struct Impl;
  explicit KernelRoutes(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace teal
