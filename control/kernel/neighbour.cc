// SPDX-License-Identifier: Apache-2.0
#include "control/kernel/neighbour.h"

#include <linux/neighbour.h>
#include <netlink/addr.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/route/neighbour.h>
#include <netlink/socket.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <memory>

#include "control/kernel/netlink_ptr.h"

namespace teal {
namespace {

// Since kernel 5.16. Given as numbers, so that Teal builds with older kernel headers.
constexpr int kNdaFlagsExt = 15;              // NDA_FLAGS_EXT
constexpr uint32_t kNtfExtManaged = 1u << 0;  // NTF_EXT_MANAGED

constexpr int kUsableStates = NUD_PERMANENT | NUD_NOARP | NUD_REACHABLE | NUD_PROBE | NUD_STALE | NUD_DELAY;

int on_answer(nl_msg* message, void* context) {
  auto& neighbour = *static_cast<Neighbour*>(context);
  nlmsghdr* const header = nlmsg_hdr(message);
  if (header->nlmsg_type != RTM_NEWNEIGH) return NL_OK;
  rtnl_neigh* raw = nullptr;
  if (rtnl_neigh_parse(header, &raw) < 0) return NL_OK;
  const NeighbourPtr entry(raw);
  neighbour.state = static_cast<uint16_t>(rtnl_neigh_get_state(raw));
  neighbour.flags = static_cast<uint8_t>(rtnl_neigh_get_flags(raw));
  neighbour.mac = usable_mac(raw);
  const nlattr* const flags = nlmsg_find_attr(header, sizeof(ndmsg), kNdaFlagsExt);
  neighbour.managed = flags != nullptr && nla_len(flags) >= 4 && (nla_get_u32(flags) & kNtfExtManaged) != 0;
  return NL_OK;
}

int family_of(const IpAddress& address) {
  return address.is_v4() ? AF_INET : AF_INET6;
}

// Makes a message about one neighbour: the header and the address. Returns null when memory runs out.
MessagePtr neighbour_message(int type, int flags, const NeighbourKey& key, uint16_t state,
                             uint8_t neighbour_flags) {
  MessagePtr message(nlmsg_alloc_simple(type, flags));
  ndmsg head{};
  head.ndm_family = static_cast<uint8_t>(family_of(key.address));
  head.ndm_ifindex = static_cast<int>(key.ifindex);
  head.ndm_state = state;
  head.ndm_flags = neighbour_flags;
  const bool v4 = key.address.is_v4();
  if (message == nullptr || nlmsg_append(message.get(), &head, sizeof(head), NLMSG_ALIGNTO) < 0 ||
      nla_put(message.get(), NDA_DST, v4 ? 4 : 16, v4 ? key.address.v4_bytes() : key.address.bytes) < 0) {
    return nullptr;
  }
  return message;
}

}  // namespace

bool is_fixed(const Neighbour& neighbour) {
  return (neighbour.state & (NUD_PERMANENT | NUD_NOARP)) != 0;
}

std::optional<MacAddress> usable_mac(rtnl_neigh* neighbour) {
  if ((rtnl_neigh_get_state(neighbour) & kUsableStates) == 0) return std::nullopt;
  const nl_addr* const address = rtnl_neigh_get_lladdr(neighbour);
  MacAddress mac;
  if (address == nullptr || nl_addr_get_len(address) != sizeof(mac.bytes)) return std::nullopt;
  std::memcpy(mac.bytes, nl_addr_get_binary_addr(address), sizeof(mac.bytes));
  return mac;
}

std::optional<IpAddress> to_ip_address(const nl_addr* address) {
  if (address == nullptr) return std::nullopt;
  const int family = nl_addr_get_family(address);
  const unsigned length = nl_addr_get_len(address);
  if (family == AF_INET && length == 4) return IpAddress::from_v4(nl_addr_get_binary_addr(address));
  if (family == AF_INET6 && length == 16) return IpAddress::from_v6(nl_addr_get_binary_addr(address));
  return std::nullopt;
}

Neighbour get_neighbour(nl_sock* socket, const NeighbourKey& key) {
  Neighbour neighbour;
  const MessagePtr message = neighbour_message(RTM_GETNEIGH, NLM_F_REQUEST, key, 0, 0);
  if (message != nullptr)
    exchange(socket, message.get(), on_answer, &neighbour);  // on ENOENT the state stays NUD_NONE
  return neighbour;
}

std::vector<ResolvedNeighbour> resolved_neighbours(nl_sock* socket, std::span<const uint32_t> ifindexes) {
  std::vector<ResolvedNeighbour> result;
  nl_cache* raw = nullptr;
  if (rtnl_neigh_alloc_cache(socket, &raw) < 0) return result;
  const CachePtr cache(raw);
  for (nl_object* object = nl_cache_get_first(raw); object != nullptr; object = nl_cache_get_next(object)) {
    auto* const entry = reinterpret_cast<rtnl_neigh*>(object);
    const auto ifindex = static_cast<uint32_t>(rtnl_neigh_get_ifindex(entry));
    if (std::find(ifindexes.begin(), ifindexes.end(), ifindex) == ifindexes.end()) continue;
    const auto address = to_ip_address(rtnl_neigh_get_dst(entry));
    const auto mac = usable_mac(entry);
    if (address && mac) result.push_back({.key = {ifindex, *address}, .mac = *mac});
  }
  return result;
}

int request_neighbour(nl_sock* socket, const NeighbourKey& key, const Neighbour& present,
                      NeighbourRequest request) {
  // NTF_USE is a request, not a property of the entry, so it is not taken over from there.
  uint8_t flags = present.flags & static_cast<uint8_t>(~NTF_USE);
  // NTF_USE and NTF_EXT_MANAGED keep the entry's state. A kernel that does not know NTF_EXT_MANAGED would set
  // NUD_NONE and forget a valid MAC address, so kManaged sets NTF_USE as well.
  if (request != NeighbourRequest::kProbe) flags |= NTF_USE;
  const uint16_t state = request == NeighbourRequest::kProbe ? NUD_PROBE : NUD_NONE;
  const int creation = request == NeighbourRequest::kProbe ? 0 : NLM_F_CREATE;
  const MessagePtr message =
      neighbour_message(RTM_NEWNEIGH, NLM_F_REQUEST | NLM_F_REPLACE | creation, key, state, flags);
  if (message == nullptr) return -NLE_NOMEM;
  if (request == NeighbourRequest::kManaged && nla_put_u32(message.get(), kNdaFlagsExt, kNtfExtManaged) < 0)
    return -NLE_NOMEM;
  return exchange(socket, message.get(), nullptr, nullptr);
}

}  // namespace teal
