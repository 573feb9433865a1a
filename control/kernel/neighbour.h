// SPDX-License-Identifier: Apache-2.0
//
// Reads the kernel's neighbour tables, and asks the kernel to resolve an entry and to keep it resolved.
//
// From version 5.16 on, the kernel maintains an entry that has the flag NTF_EXT_MANAGED: it resolves the
// address at once, confirms it periodically, and tries again if nobody answers. libnl 3.7 does not know the
// attribute that carries the flag (NDA_FLAGS_EXT), so this code reads and writes the attribute by its number.
// libnl does the rest.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "dataplane/packet/flow_key.h"
#include "dataplane/packet/ip_address.h"
#include "dataplane/packet/rewrite.h"

struct nl_sock;
struct nl_addr;
struct rtnl_neigh;

namespace teal {

struct NeighbourKey {
  uint32_t ifindex = 0;
  IpAddress address;

  friend bool operator==(const NeighbourKey&, const NeighbourKey&) = default;
};

struct NeighbourKeyHash {
  size_t operator()(const NeighbourKey& key) const { return AddressHash()(key.address) * 31 + key.ifindex; }
};

struct Neighbour {
  uint16_t state = 0;             // NUD_*; NUD_NONE (0) if there is no entry
  uint8_t flags = 0;              // NTF_*
  bool managed = false;           // NTF_EXT_MANAGED is set
  std::optional<MacAddress> mac;  // set if the state says that it is valid
};

// True for an administrator's entry and for an interface that needs no resolution. Teal does not change such
// entries.
bool is_fixed(const Neighbour& neighbour);

// Returns the MAC address of a libnl neighbour if the entry's state makes it usable and the link is Ethernet.
std::optional<MacAddress> usable_mac(rtnl_neigh* neighbour);

// Converts a libnl address. Returns nullopt for null and for families other than IPv4 and IPv6.
std::optional<IpAddress> to_ip_address(const nl_addr* address);

// Reads one entry (RTM_GETNEIGH). Without an entry, the state of the result is NUD_NONE.
Neighbour get_neighbour(nl_sock* socket, const NeighbourKey& key);

struct ResolvedNeighbour {
  NeighbourKey key;
  MacAddress mac;
};

// Returns the entries of these interfaces that have a usable MAC address.
std::vector<ResolvedNeighbour> resolved_neighbours(nl_sock* socket, std::span<const uint32_t> ifindexes);

// The ways to ask the kernel to resolve an entry.
enum class NeighbourRequest {
  kManaged,  // resolve now and keep the entry resolved
  kUse,      // like sending a packet: resolves a missing entry, confirms a stale one after the kernel's delay
  kProbe,    // confirm a stale entry now
};

// Returns 0 or libnl's negative error. `present` is a result that get_neighbour() has just returned: the
// request keeps the flags of the entry.
int request_neighbour(nl_sock* socket, const NeighbourKey& key, const Neighbour& present,
                      NeighbourRequest request);

}  // namespace teal
