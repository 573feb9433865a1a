// SPDX-License-Identifier: Apache-2.0
//
// One neighbour of the kernel's tables: asking for it, and asking the kernel to resolve it and to keep it
// resolved.
//
// A kernel from 5.16 on keeps a neighbour by itself (NTF_EXT_MANAGED): it resolves at once, confirms again
// and again, and tries anew where nobody answers. libnl 3.7 does not know the attribute that carries the flag
// (NDA_FLAGS_EXT), so that one is written and read here by its number; the rest of each message is libnl's.
#pragma once

#include <cstdint>
#include <optional>

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

struct Neighbour {
  uint16_t state = 0;             // NUD_*; NUD_NONE (0) also where there is no entry
  uint8_t flags = 0;              // NTF_*
  bool managed = false;           // NTF_EXT_MANAGED is set
  std::optional<MacAddress> mac;  // where the state says that it is valid
};

// An administrator's entry, or an interface that needs none: nothing to resolve, and nothing to change.
bool is_fixed(const Neighbour& neighbour);

// The MAC of a libnl neighbour, if its state says that it can be used and it is an Ethernet one.
std::optional<MacAddress> usable_mac(rtnl_neigh* neighbour);

// The address of a libnl one; nothing if there is none or it is of another family.
std::optional<IpAddress> to_ip_address(const nl_addr* address);

// RTM_GETNEIGH of one entry. No entry: the state is NUD_NONE.
Neighbour get_neighbour(nl_sock* socket, const NeighbourKey& key);

// How the kernel may be asked to resolve.
enum class NeighbourRequest {
  kManaged,  // resolve, and keep it so
  kUse,      // as if a packet were to be sent: resolves a missing entry, confirms a stale one after its delay
  kProbe,    // confirm a stale entry now
};

// 0, or libnl's negative error. `present` is what get_neighbour said just before: flags that the entry has
// are kept.
int request_neighbour(nl_sock* socket, const NeighbourKey& key, const Neighbour& present,
                      NeighbourRequest request);

}  // namespace teal
