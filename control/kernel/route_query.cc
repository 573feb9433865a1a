// SPDX-License-Identifier: Apache-2.0
#include "control/kernel/route_query.h"

#include <linux/rtnetlink.h>
#include <netlink/addr.h>
#include <netlink/attr.h>
#include <netlink/route/addr.h>
#include <netlink/route/nexthop.h>
#include <netlink/route/route.h>
#include <sys/socket.h>

#include <algorithm>

#include "control/kernel/netlink_ptr.h"
#include "dataplane/packet/ip_prefix.h"

namespace teal {
namespace {

uint8_t mapped_bits(bool v4, unsigned prefix_bits) {
  return static_cast<uint8_t>(prefix_bits + (v4 ? kMappedBits : 0));
}

RoutePtr parse_route(nl_msg* message) {
  rtnl_route* route = nullptr;
  if (nlmsg_hdr(message)->nlmsg_type != RTM_NEWROUTE || rtnl_route_parse(nlmsg_hdr(message), &route) < 0)
    return nullptr;
  return RoutePtr(route);
}

int on_route(nl_msg* message, void* context) {
  if (auto route = parse_route(message)) *static_cast<RoutePtr*>(context) = std::move(route);
  return NL_OK;
}

// With RTM_F_FIB_MATCH in `flags` returns the table's entry, otherwise the route of this destination alone.
RoutePtr get_route(nl_sock* socket, const IpAddress& destination, uint32_t flags) {
  const MessagePtr message(nlmsg_alloc_simple(RTM_GETROUTE, NLM_F_REQUEST));
  const bool v4 = destination.is_v4();
  rtmsg head{};
  head.rtm_family = v4 ? AF_INET : AF_INET6;
  head.rtm_dst_len = v4 ? 32 : 128;
  head.rtm_flags = flags;
  RoutePtr route;
  if (message == nullptr || nlmsg_append(message.get(), &head, sizeof(head), NLMSG_ALIGNTO) < 0 ||
      nla_put(message.get(), RTA_DST, v4 ? 4 : 16, v4 ? destination.v4_bytes() : destination.bytes) < 0 ||
      exchange(socket, message.get(), on_route, &route) < 0) {
    return nullptr;
  }
  return route;
}

std::optional<IpAddress> gateway_of(rtnl_nexthop* nexthop) {
  if (const auto gateway = to_ip_address(rtnl_route_nh_get_gateway(nexthop))) return gateway;
  return to_ip_address(rtnl_route_nh_get_via(nexthop));  // IPv4 through an IPv6 gateway (RFC 5549)
}

struct DefaultSearch {
  bool v4;
  std::span<const uint32_t> ifindexes;
  std::optional<Way> best;
  uint32_t best_metric = 0;
};

int on_default_candidate(nl_msg* message, void* context) {
  auto& search = *static_cast<DefaultSearch*>(context);
  // A table may hold a million routes, so the header is checked before libnl makes an object.
  const auto* const head = static_cast<const rtmsg*>(nlmsg_data(nlmsg_hdr(message)));
  if (!nlmsg_valid_hdr(nlmsg_hdr(message), sizeof(rtmsg)) || head->rtm_dst_len != 0 ||
      head->rtm_type != RTN_UNICAST || head->rtm_table != RT_TABLE_MAIN ||
      head->rtm_family != (search.v4 ? AF_INET : AF_INET6)) {
    return NL_OK;
  }
  const auto route = parse_route(message);
  if (route == nullptr) return NL_OK;
  const uint32_t metric = rtnl_route_get_priority(route.get());
  if (search.best && search.best_metric <= metric) return NL_OK;
  for (int i = 0; i < rtnl_route_get_nnexthops(route.get()); ++i) {
    rtnl_nexthop* const nexthop = rtnl_route_nexthop_n(route.get(), i);
    const auto ifindex = static_cast<uint32_t>(rtnl_route_nh_get_ifindex(nexthop));
    const auto gateway = gateway_of(nexthop);
    const bool dead = (rtnl_route_nh_get_flags(nexthop) & (RTNH_F_DEAD | RTNH_F_LINKDOWN)) != 0;
    const bool wanted =
        std::find(search.ifindexes.begin(), search.ifindexes.end(), ifindex) != search.ifindexes.end();
    if (!gateway || !wanted || dead) continue;
    search.best = Way{.neighbour = {ifindex, *gateway}, .through_gateway = true};
    search.best_metric = metric;
    break;
  }
  return NL_OK;
}

}  // namespace

std::optional<Way> find_way(nl_sock* socket, const IpAddress& destination) {
  const auto route = get_route(socket, destination, 0);
  if (route == nullptr || rtnl_route_get_type(route.get()) != RTN_UNICAST) return std::nullopt;
  rtnl_nexthop* const nexthop = rtnl_route_nexthop_n(route.get(), 0);
  if (nexthop == nullptr) return std::nullopt;
  const auto ifindex = static_cast<uint32_t>(rtnl_route_nh_get_ifindex(nexthop));
  const auto gateway = gateway_of(nexthop);
  return Way{.neighbour = {ifindex, gateway.value_or(destination)}, .through_gateway = gateway.has_value()};
}

uint8_t on_link_bits(nl_sock* socket, const Way& way) {
  if (way.through_gateway) return 0;
  const IpAddress& destination = way.neighbour.address;
  const bool v4 = destination.is_v4();
  const unsigned host_bits = v4 ? 32 : 128;
  if (const auto entry = get_route(socket, destination, RTM_F_FIB_MATCH)) {
    const nl_addr* const prefix = rtnl_route_get_dst(entry.get());
    const unsigned bits = prefix == nullptr ? 0 : nl_addr_get_prefixlen(prefix);
    if (bits > 0 && bits < host_bits) return mapped_bits(v4, bits);
  }
  uint8_t longest = 0;
  for (const auto& address : interface_addresses(socket)) {
    if (address.ifindex == way.neighbour.ifindex && address.on_link.is_v4() == v4 &&
        address.on_link_bits < mapped_bits(v4, host_bits) &&
        same_prefix(address.on_link, destination, address.on_link_bits)) {
      longest = std::max(longest, address.on_link_bits);
    }
  }
  return longest;
}

std::optional<Way> find_default_way(nl_sock* socket, bool v4, std::span<const uint32_t> ifindexes) {
  const MessagePtr message(nlmsg_alloc_simple(RTM_GETROUTE, NLM_F_REQUEST | NLM_F_DUMP));
  rtmsg head{};
  head.rtm_family = v4 ? AF_INET : AF_INET6;
  DefaultSearch search{.v4 = v4, .ifindexes = ifindexes};
  if (message == nullptr || nlmsg_append(message.get(), &head, sizeof(head), NLMSG_ALIGNTO) < 0 ||
      exchange(socket, message.get(), on_default_candidate, &search) < 0) {
    return std::nullopt;
  }
  return search.best;
}

std::vector<InterfaceAddress> interface_addresses(nl_sock* socket) {
  std::vector<InterfaceAddress> result;
  nl_cache* raw = nullptr;
  if (rtnl_addr_alloc_cache(socket, &raw) < 0) return result;
  const CachePtr cache(raw);
  for (nl_object* object = nl_cache_get_first(raw); object != nullptr; object = nl_cache_get_next(object)) {
    auto* const entry = reinterpret_cast<rtnl_addr*>(object);
    const auto local = to_ip_address(rtnl_addr_get_local(entry));
    if (!local) continue;
    const auto peer = to_ip_address(rtnl_addr_get_peer(entry));
    result.push_back(
        {.ifindex = static_cast<uint32_t>(rtnl_addr_get_ifindex(entry)),
         .address = *local,
         .on_link = peer.value_or(*local),
         .on_link_bits = mapped_bits(local->is_v4(), static_cast<unsigned>(rtnl_addr_get_prefixlen(entry)))});
  }
  return result;
}

}  // namespace teal
