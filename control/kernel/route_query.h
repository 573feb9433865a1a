// SPDX-License-Identifier: Apache-2.0
//
// Asks the kernel about routes and addresses. Each function sends requests on a blocking netlink socket
// (NETLINK_ROUTE) and keeps no state.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "control/kernel/neighbour.h"
#include "dataplane/packet/ip_address.h"

struct nl_sock;

namespace teal {

// The interface that a packet leaves by, and the neighbour on it that the packet is sent to.
struct Way {
  NeighbourKey neighbour;
  bool through_gateway = false;
};

// Returns the way that the kernel chooses for a packet from this host. Returns nullopt if the kernel has no
// route or the route is not unicast (an address of this host, a blackhole).
std::optional<Way> find_way(nl_sock* socket, const IpAddress& destination);

// Returns the length of the connected prefix around a destination without a gateway, in the mapped form.
// Returns 0 if no such prefix is known.
//
// The prefix is taken from the route that the lookup matches, with two exceptions: a host route describes one
// address, not the link, and a default route into an interface would make every client a neighbour. In these
// cases the prefix is taken from the addresses of the interface.
uint8_t on_link_bits(nl_sock* socket, const Way& way);

// Returns the default route with the best metric in the main table. Only routes count that go through a
// gateway and leave by one of the interfaces.
std::optional<Way> find_default_way(nl_sock* socket, bool v4, std::span<const uint32_t> ifindexes);

struct InterfaceAddress {
  uint32_t ifindex = 0;
  IpAddress address;
  IpAddress on_link;         // the peer of a point-to-point address, otherwise `address`
  uint8_t on_link_bits = 0;  // in the mapped form
};
std::vector<InterfaceAddress> interface_addresses(nl_sock* socket);

}  // namespace teal
