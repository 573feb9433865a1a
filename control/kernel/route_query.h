// SPDX-License-Identifier: Apache-2.0
//
// Questions to the kernel about routes and addresses, each one request on a netlink socket (NETLINK_ROUTE,
// blocking). No state.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "control/kernel/neighbour.h"
#include "dataplane/packet/ip_address.h"

struct nl_sock;

namespace teal {

// Where a packet to some address leaves, and the neighbour that it is sent to.
struct Way {
  NeighbourKey neighbour;
  bool through_gateway = false;
};

// The kernel's choice for a packet that this host sends. Nothing: no route, or not a unicast one (an own
// address, a blackhole).
std::optional<Way> find_way(nl_sock* socket, const IpAddress& destination);

// For a destination without a gateway: the length of the connected prefix that it is in, in the mapped form.
// 0: none is known.
//
// It is that of the route which the lookup matches, but not of a host route (it says how to reach one
// address, not what the link is) and not of a default route straight into an interface (that would make every
// client a neighbour). Then it is that of the interface's addresses.
uint8_t on_link_bits(nl_sock* socket, const Way& way);

// The default route of the main table with the best metric among those that leave by one of the interfaces
// through a gateway.
std::optional<Way> find_default_way(nl_sock* socket, bool v4, std::span<const uint32_t> ifindexes);

struct InterfaceAddress {
  uint32_t ifindex = 0;
  IpAddress address;
  IpAddress on_link;         // the peer of a point-to-point address, else the address
  uint8_t on_link_bits = 0;  // in the mapped form
};
std::vector<InterfaceAddress> interface_addresses(nl_sock* socket);

}  // namespace teal
